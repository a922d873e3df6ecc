// The subset of Go's text/template: the tree of what is accepted, the error of what is not.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { GoTemplate } from '../../src/go-template/ast.ts'
import { parseGoTemplate } from '../../src/go-template/index.ts'
import { TemplateError } from '../../src/go-template/template-error.ts'

const fields = { Artifact: 'string', Meta: 'map', ServiceName: 'string' } as const

function parse(source: string): GoTemplate {
  return parseGoTemplate(source, { fields })
}

function errorOf(source: string): string {
  try {
    parse(source)
  } catch (error) {
    if (error instanceof TemplateError) return error.message
    throw error
  }
  return 'no error'
}

describe('parseGoTemplate', () => {
  it('returns text and variables in order', () => {
    expect(parse('a {{.Artifact}}\n{{$.ServiceName}}')).toEqual([
      { kind: 'text', text: 'a ' },
      { kind: 'output', value: { kind: 'field', offset: 4, of: 'dot', name: 'Artifact' } },
      { kind: 'text', text: '\n' },
      { kind: 'output', value: { kind: 'field', offset: 18, of: 'root', name: 'ServiceName' } },
    ])
  })

  it('returns the members of maps, from the root and from the dot', () => {
    const meta = { kind: 'field', offset: 2, of: 'dot', name: 'Meta' }
    expect(parse('{{.Meta.commit}}')).toEqual([
      { kind: 'output', value: { kind: 'member', offset: 7, of: meta, name: 'commit' } },
    ])
    const ofRoot = { ...meta, of: 'root' }
    expect(parse('{{$.Meta.commit}}')).toEqual([
      { kind: 'output', value: { kind: 'member', offset: 8, of: ofRoot, name: 'commit' } },
    ])
  })

  it('makes a piped value the last argument of the next function', () => {
    const piped = withoutOffsets(parse('{{"a" | eq "b" | not}}'))
    expect(piped).toEqual(withoutOffsets(parse('{{not (eq "b" "a")}}')))
  })

  it('makes "else if" an "if" in the "else"', () => {
    const chain = parse('{{if .Artifact}}1{{else if .ServiceName}}2{{else}}3{{end}}')
    const nested = parse('{{if .Artifact}}1{{else}}{{if .ServiceName}}2{{else}}3{{end}}{{end}}')
    expect(withoutOffsets(chain)).toEqual(withoutOffsets(nested))
  })

  it('accepts the declared variables only', () => {
    expect(() => parseGoTemplate('{{.Image}}', { fields: { Image: 'string' } })).not.toThrow()
    expect(() => parseGoTemplate('{{.Artifact}}', { fields: { Image: 'string' } })).toThrow(
      'unknown variable ".Artifact"; the variables are .Image',
    )
  })

  it('reports the line and the character, not the byte or the UTF-16 unit', () => {
    const source = 'é\r\n😀é {{.Nope}}'
    expect(errorOf(source)).toMatch(/^line 2, column 6: /)
    expect(() => parse(source)).toThrow(expect.objectContaining({ line: 2, column: 6 }))
  })

  it('reports the first of several errors', () => {
    expect(errorOf('{{range}}{{"')).toContain('column 3: "range"')
  })
})

describe('a template that Go rejects too', () => {
  const functions =
    'the functions are and, eq, html, json, ne, not, or, print, printf, println and urlquery'
  it.each([
    [
      '{{.Nope}}',
      '3: unknown variable ".Nope"; the variables are .Artifact, .Meta and .ServiceName',
    ],
    [
      '{{.artifact}}',
      '3: unknown variable ".artifact"; the variables are .Artifact, .Meta and .ServiceName',
    ],
    [
      '{{$.Nope}}',
      '3: unknown variable ".Nope"; the variables are .Artifact, .Meta and .ServiceName',
    ],
    ['{{Artifact}}', `3: unknown function "Artifact"; ${functions}; a variable begins with a dot`],
    ['{{.A | elseif}}', `8: unknown function "elseif"; ${functions}; a variable begins with a dot`],
    ['{{.Artifact.Foo}}', '12: the value before ".Foo" has no fields'],
    ['{{$.Artifact.Foo}}', '13: the value before ".Foo" has no fields'],
    ['{{.Meta.commit.Foo}}', '15: the value before ".Foo" has no fields'],
    ['{{(json .Meta).commit}}', '15: the value before ".commit" has no fields'],
    ['{{(or .Meta "a").commit}}', '17: the value before ".commit" has no fields'],
    ['{{with .Meta}}{{..commit}}{{end}}', '18: the value before ".commit" has no fields'],
    ['{{print.Meta}}', '8: the value before ".Meta" has no fields'],
    ['{{true.Meta}}', '7: the value before ".Meta" has no fields'],
    ['{{.Meta..commit}}', '8: unexpected "."'],
    [
      '{{.constructor}}',
      '3: unknown variable ".constructor"; the variables are .Artifact, .Meta and .ServiceName',
    ],
    ['{{(print).Foo}}', '10: the value before ".Foo" has no fields'],
    ['{{"a".Foo}}', '6: the value before ".Foo" has no fields'],
    ['{{..Artifact}}', '4: the value before ".Artifact" has no fields'],
    ['{{.Artifact.}}', '12: unexpected "."'],
    [
      '{{with .Artifact}}{{.Artifact}}{{end}}',
      '21: inside "with" the dot is a string without fields; write $.Artifact',
    ],
    [
      'a {{-.Artifact}}',
      '5: bad number "-.Artifact"; a trim marker has white space beside it: "{{- " and " -}}"',
    ],
    ['{{ - }}', '4: bad number "-"; a trim marker has white space beside it: "{{- " and " -}}"'],
    ['{{.Artifact-}}', '12: unexpected "-"'],
    ['{{.Artifact', '1: unclosed action'],
    ['{{', '1: unclosed action'],
    ['{{.Artifact}', '12: unexpected "}"'],
    ['{{{.Artifact}}}', '3: unexpected "{"'],
    ['{{.Artifact, .ServiceName}}', '12: unexpected ","'],
    ['{{.Artifact\u00a0}}', '12: unexpected "\u00a0"'],
    ['{{}}', '3: a value is missing'],
    ['{{- }}', '5: a value is missing'],
    ['{{if}}{{end}}', '5: a value is missing'],
    ['{{()}}', '4: unexpected ")"'],
    ['{{(.Artifact}}', '13: ")" is missing'],
    ['{{.Artifact)}}', '12: unexpected ")"'],
    ['{{| print}}', '3: unexpected "|"'],
    ['{{print(.Artifact)}}', '8: unexpected "("'],
    ['{{"a""b"}}', '6: unexpected ""b""'],
    ['{{"a" "b"}}', '7: only a function takes arguments'],
    ['{{.Artifact .ServiceName}}', '13: only a function takes arguments'],
    ['{{(print) .Artifact}}', '11: only a function takes arguments'],
    ['{{.Artifact | .ServiceName}}', '15: only a function can follow "|"'],
    ['{{.Artifact | "a"}}', '15: only a function can follow "|"'],
    ['{{.Artifact | (print)}}', '15: only a function can follow "|"'],
    ['{{eq .Artifact}}', '3: arguments of "eq": 1, not at least 2'],
    ['{{ne .Artifact "a" "b"}}', '3: arguments of "ne": 3, not 2'],
    ['{{json}}', '3: arguments of "json": 0, not 1'],
    ['{{json .Artifact .Meta}}', '3: arguments of "json": 2, not 1'],
    [
      '{{with and .Meta true}}{{.commit}}{{end}}',
      '26: unknown variable ".commit"; the variables are .Artifact, .Meta and .ServiceName',
    ],
    [
      '{{with and .Meta true}}{{.Artifact}}{{end}}',
      '26: inside "with" the dot is a map or bool without fields; write $.Artifact',
    ],
    ['{{not}}', '3: arguments of "not": 0, not 1'],
    ['{{true | not true}}', '10: arguments of "not": 2, not 1'],
    ['{{and}}', '3: arguments of "and": 0, not at least 1'],
    ['{{printf}}', '3: arguments of "printf": 0, not at least 1'],
    ['{{eq .Artifact true}}', '3: a string and a bool cannot be compared'],
    ['{{end}}', '3: unexpected "end"'],
    ['{{else}}', '3: unexpected "else"'],
    ['{{print end}}', '9: unexpected "end"'],
    ['{{if true}}x', '3: "if" without {{end}}'],
    ['{{with "a"}}x{{else}}', '3: "with" without {{end}}'],
    ['{{if true}}{{else}}{{else}}{{end}}', '22: unexpected "else"'],
    ['{{if true}}{{else x}}{{end}}', '19: unexpected "x"'],
    ['{{if true}}{{end x}}', '18: unexpected "x"'],
    ['{{with "a"}}{{else if true}}{{end}}', '20: unexpected "if"'],
    ['{{if true}}{{else if true}}{{end}}{{end}}', '37: unexpected "end"'],
    ['{{/* a', '3: unclosed comment'],
    ['{{/*/}}', '3: unclosed comment'],
    ['{{/* a */ }}', '10: a comment must end right before "}}" or " -}}"'],
    ['{{/* a */-}}', '10: a comment must end right before "}}" or " -}}"'],
    ['{{ /* a */}}', '4: unexpected "/"'],
    ['{{"a\nb"}}', '3: unterminated string'],
    ['{{"a', '3: unterminated string'],
    ['{{"a\\', '5: bad escape in a string'],
    ['{{`a', '3: unterminated raw string'],
    ['{{"\\\'"}}', '4: bad escape in a string'],
    ['{{"\\N"}}', '4: bad escape in a string'],
    ['{{"\\X41"}}', '4: bad escape in a string'],
    ['{{"\\x4"}}', '4: bad escape in a string'],
    ['{{"\\ud800"}}', '4: \\ud800 is not a character'],
    ['{{"\\U00110000"}}', '4: \\U00110000 is not a character'],
  ])('rejects %j', (source, error) => {
    expect(errorOf(source)).toBe(`line 1, column ${error}`)
  })
})

describe('a feature of Go that Deployer does not support', () => {
  it.each([
    ['{{$x := .Artifact}}{{$x}}', 'the variable $x'],
    ['{{$}}', 'the variable $'],
    ['{{$ .Artifact}}', 'the variable $'],
    ['{{.}}', '"." outside of "with"'],
    ['{{with .Artifact}}{{else}}{{.}}{{end}}', '"." outside of "with"'],
    ['{{range .Artifact}}{{end}}', '"range"'],
    ['{{template "x"}}', '"template"'],
    ['{{define "x"}}{{end}}', '"define"'],
    ['{{block "x" .}}{{end}}', '"block"'],
    ['{{break}}', '"break"'],
    ['{{continue}}', '"continue"'],
    ['{{eq .Artifact nil}}', '"nil"'],
    ['{{with .Artifact}}{{else with .ServiceName}}{{end}}', '"else with"'],
    ['{{call .Artifact}}', '"call"'],
    ['{{index .Artifact 0}}', '"index"'],
    ['{{slice .Artifact 0 1}}', '"slice"'],
    ['{{len .Artifact}}', '"len"'],
    ['{{.Artifact | js}}', '"js"'],
    ['{{lt .Artifact "b"}}', '"lt"'],
    ['{{le .Artifact "b"}}', '"le"'],
    ['{{gt .Artifact "b"}}', '"gt"'],
    ['{{ge .Artifact "b"}}', '"ge"'],
    ['{{1}}', 'the number 1'],
    ['{{-3}}', 'the number -3'],
    ['{{print .5}}', 'the number .5'],
    ["{{'x'}}", "a character ('x')"],
    ['{{"\\xff"}}', '\\xff, a byte above \\x7f,'],
    ['{{"\\200"}}', '\\200, a byte above \\x7f,'],
    ['{{printf "%q" .Artifact}}', '"%q" in a format'],
    ['{{printf "%d" true}}', '"%d" in a format'],
    ['{{printf "%-10s" .Artifact}}', '"%-" in a format'],
    ['{{printf "100%"}}', '"%" in a format'],
    ['{{printf .Artifact}}', '"printf" with a format that is no string literal'],
    ['{{.Artifact | printf}}', '"printf" with a format that is no string literal'],
    ['{{eq (and .Artifact true) "a"}}', 'a comparison of a value that can be a string or a bool'],
  ])('reports that %j is not supported', (source, what) => {
    expect(errorOf(source)).toContain(`: ${what} is not supported by Deployer`)
  })

  it.each([
    ['{{printf "%s"}}', 'verbs in the format: 1, values for them: 0'],
    ['{{printf "a" .Artifact}}', 'verbs in the format: 0, values for them: 1'],
    ['{{printf "%s %%" .Artifact .ServiceName}}', 'verbs in the format: 1, values for them: 2'],
    ['{{printf "%s" true}}', '%s takes a string; %v takes all'],
    ['{{printf "%v%s" true (or .Artifact true)}}', '%s takes a string; %v takes all'],
    ['{{.Artifact |}}', 'a value is missing'],
  ])('rejects %j, whose result in Go is useless', (source, error) => {
    expect(errorOf(source)).toContain(error)
  })
})

describe('a map', () => {
  it.each([
    '{{json .Meta}}{{.Meta | json}}{{json (or .Meta .Artifact true)}}',
    '{{if .Meta}}{{else if not .Meta}}{{end}}',
    '{{if and .Meta .Artifact (or $.Meta false)}}{{end}}',
    '{{with .Meta}}{{.commit}}{{json .}}{{print .a .b}}{{if .}}{{end}}{{$.ServiceName}}{{end}}',
    '{{with .Artifact}}{{.}}{{with $.Meta}}{{.commit}}{{with .commit}}{{.}}{{end}}{{end}}{{end}}',
    '{{(.Meta).commit}}{{(and .Meta .Meta).commit}}',
    '{{print .Meta.a .Meta.b}}{{if eq .Meta.a $.Meta.b "c"}}{{end}}{{printf "%s" .Meta.constructor}}',
  ])('can be used as in %j', (source) => {
    expect(errorOf(source)).toBe('no error')
  })

  it.each([
    [
      '{{.Meta}}',
      '3: a map cannot be printed; write {{json .Meta}} or, for one value, {{.Meta.name}}',
    ],
    [
      '{{$.Meta}}',
      '3: a map cannot be printed; write {{json $.Meta}} or, for one value, {{$.Meta.name}}',
    ],
    [
      '{{with .Meta}}{{.}}{{end}}',
      '17: a map cannot be printed; write {{json .}} or, for one value, {{.name}}',
    ],
    [
      '{{or .Artifact .Meta}}',
      '3: a map cannot be printed; write {{json .Meta}} or, for one value, {{.Meta.name}}',
    ],
    [
      '{{eq .Artifact .Meta}}',
      '16: "eq" does not take a map; write {{json .Meta}} or, for one value, {{.Meta.name}}',
    ],
    [
      '{{ne "a" (and true (or .Meta "a"))}}',
      '11: "ne" does not take a map; write {{json .Meta}} or, for one value, {{.Meta.name}}',
    ],
    [
      '{{printf "%v" .Meta}}',
      '15: "printf" does not take a map; write {{json .Meta}} or, for one value, {{.Meta.name}}',
    ],
  ])('is rejected with a correction: %j', (source, error) => {
    expect(errorOf(source)).toBe(`line 1, column ${error}`)
  })

  it.each(['eq', 'ne', 'html', 'print', 'println', 'printf "%s"', 'printf', 'urlquery'])(
    'is not taken by %s, last or not',
    (name) => {
      const [word] = name.split(' ')
      const error = `"${word}" does not take a map; write {{json .Meta}} or, for one value`
      expect(errorOf(`{{${name} .Meta .Artifact}}`)).toContain(error)
      expect(errorOf(`{{.Meta | ${name} .Artifact}}`)).toContain(error)
    },
  )
})

describe('sizes', () => {
  const levels = (count: number) => '{{if true}}'.repeat(count) + '{{end}}'.repeat(count)
  const elses = (count: number) => `{{if true}}${'{{else if true}}'.repeat(count - 1)}{{end}}`

  it('allows 100 levels of any kind and no more', () => {
    for (const build of [levels, elses]) {
      expect(errorOf(build(100))).toBe('no error')
      expect(errorOf(build(101))).toContain('more than 100 nested actions')
      expect(errorOf(build(100_000))).toContain('more than 100 nested actions')
    }
  })

  it('allows 200 tokens in an action and no more', () => {
    expect(errorOf(`{{print${' .Artifact'.repeat(199)}}}`)).toBe('no error')
    expect(errorOf(`{{print${' .Artifact'.repeat(200)}}}`)).toContain(
      'more than 200 words and signs',
    )
  })

  it.each([
    ['parentheses', `{{${'('.repeat(100_000)}`],
    ['pipes', `{{"a"${' | print'.repeat(100_000)}}}`],
    ['members', `{{.Meta${'.a'.repeat(100_000)}}}`],
    ['arguments', `{{print${' "a"'.repeat(100_000)}}}`],
  ])('rejects a long sequence of %s', (_, source) => {
    expect(errorOf(source)).toContain('more than 200 words and signs in one action')
  })

  it('parses a large template quickly', () => {
    const source = `${' '.repeat(500_000)}x${'{{- .Artifact -}} \n'.repeat(20_000)}`
    expect(parse(source)).toHaveLength(20_001)
  })
})

describe('any string', () => {
  it('is parsed or rejected', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void errorOf(`{{${text}}}`)))
  })

  it('without "{{" is one text', () => {
    const text = fc
      .string({ unit: 'binary', minLength: 1 })
      .filter((source) => !source.includes('{{'))
    fc.assert(
      fc.property(text, (source) => {
        expect(parse(source)).toEqual([{ kind: 'text', text: source }])
      }),
    )
  })
})

function withoutOffsets(tree: GoTemplate): unknown {
  return JSON.parse(JSON.stringify(tree, (key, value) => (key === 'offset' ? undefined : value)))
}
