// Pure: the names of a JSON object's members as they were sent. JSON.parse keeps only the last of
// several members with the same name.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g

/**
 * Lists the names of the members of a JSON object.
 *
 * @param text The object as JSON that `JSON.parse` accepts.
 * @returns The names of its own members, not of objects inside it, in order and including repeated ones.
 */
export function memberNames(text: string): readonly string[] {
  const names: string[] = []
  let depth = 0
  let before = ''
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') {
      depth += 1
    } else if (token === '}' || token === ']') {
      depth -= 1
    } else if (token === ':' && depth === 1) {
      names.push(JSON.parse(before))
    }
    before = token
  }
  return names
}
