import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { parseJsonList } from '../../../src/node/docker/json-list.ts'
import { generatedTasks } from '../../support/generated-tasks.ts'
import { scriptedEngine, text } from '../../support/scripted-engine.ts'

/** The result of JSON.parse; undefined if it throws. */
function parsed(json: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(json) }
  } catch {
    return undefined
  }
}

async function expectSame(json: string, partBytes: number): Promise<void> {
  const expected = parsed(json)
  const reading = parseJsonList(Buffer.from(json), partBytes)
  if (expected === undefined) {
    await expect(reading).rejects.toThrow(SyntaxError)
  } else {
    expect(await reading).toEqual(expected.value)
  }
}

/** Counts the iterations of the event loop until a promise settles. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0
  let isDone = false
  const count = (): void => {
    turns += 1
    if (!isDone) setImmediate(count)
  }
  setImmediate(count)
  await work
  isDone = true
  return turns
}

describe('a list that is parsed in parts', () => {
  test('has the result of JSON.parse, wherever the parts end', () => {
    const lists = fc.array(fc.jsonValue()).map((list) => JSON.stringify(list))
    const gap = fc.constantFrom('', ' ', '\n', '\t')
    return fc.assert(
      fc.asyncProperty(lists, fc.integer({ min: 1, max: 30 }), gap, (json, partBytes, space) =>
        expectSame(`${space}${json}${space}`, partBytes),
      ),
    )
  })

  test('is refused if JSON.parse refuses it', () => {
    const lists = fc.array(fc.jsonValue(), { maxLength: 5 }).map((list) => JSON.stringify(list))
    const characters = fc.constantFrom('', ',', ']', '[', '}', '{', '"', '\\', ':', '1', ' ', 'x')
    return fc.assert(
      fc.asyncProperty(
        ...[lists, characters, fc.nat(), fc.boolean(), fc.integer({ min: 1, max: 30 })],
        (json, character, index, isInsert, partBytes) => {
          const at = index % (json.length + 1)
          const rest = json.slice(isInsert ? at : at + 1)
          return expectSame(json.slice(0, at) + character + rest, partBytes)
        },
      ),
      { numRuns: 1000 },
    )
  })

  test.each([
    '[]',
    '{}',
    'null',
    '7',
    '',
    ' ',
    '[1,]',
    '[1,2,3,]',
    '[,1]',
    '[1,,2]',
    '[1]]',
    '[1] x',
    '[1,2',
    '["a',
    '["a\\',
    '[{"a":[1}],2]',
    '["]","[",",","\\"",{"}":"{"}]',
    '["é\u2028€😀","é",1]',
  ])('%s', (json) => expectSame(json, 1))

  test('keeps a large ForceUpdate in any part', async () => {
    const json = '[{"ForceUpdate":1},{"ForceUpdate": 17326312345678901},{"ForceUpdate":2}]'
    expect(await parseJsonList(Buffer.from(json), 1)).toEqual([
      { ForceUpdate: 1 },
      { ForceUpdate: 17326312345678901n },
      { ForceUpdate: 2 },
    ])
  })
})

test('the event loop runs many times while 5,000 tasks are parsed', async () => {
  const json = generatedTasks(5000)
  const engine = await scriptedEngine()
  try {
    engine.answer = text(200, json)
    const tasks = await engine.swarm.listTasks('blog')
    expect(tasks).toHaveLength(5000)
    const bytes = Buffer.from(json)
    const turns = await turnsDuring(parseJsonList(bytes))
    expect(turns).toBeGreaterThan(bytes.length / (256 * 1024))
    const parse = vi.spyOn(JSON, 'parse')
    await engine.swarm.listTasks('blog')
    const lengths = parse.mock.calls.map(([part]) => part.length)
    parse.mockRestore()
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBeGreaterThan(json.length * 0.9)
    expect(Math.max(...lengths)).toBeLessThan(256 * 1024)
  } finally {
    await engine.close()
  }
})
