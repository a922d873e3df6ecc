// Rendered messages: the same bytes as in Go, and never evaluated as JavaScript.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this code must stay text
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { TemplateError } from '../../src/go-template/template-error.ts'
import { createEtaRenderer } from '../../src/node/eta-renderer.ts'
import { messageFields } from '../../src/notification/message-data.ts'
import type { MessageData } from '../../src/notification/renderer.ts'
import { codeUnder, fencedBlocks } from '../support/fenced-blocks.ts'
import { readVectors } from '../support/vector-files.ts'

interface Vector {
  readonly template: string
  readonly serviceName: string
  readonly artifact: string
  readonly ok: boolean
  readonly output: string
  readonly required: boolean
}

const blog: MessageData = {
  Artifact: 'me/blog:v2',
  Caller: 'ci',
  DeploymentID: 'd1',
  Digest: 'sha256:2222',
  Duration: '1m12.4s',
  EndedAt: '2026-11-24T10:01:12.400Z',
  Error: 'task 1 failed',
  Event: 'rolled-back',
  MessageID: 'msg_1_rolled-back',
  Meta: { commit: '1f2e3d', branch: 'main' },
  Previous: 'me/blog:v1',
  ServiceID: 'x1',
  ServiceName: 'blog',
  StartedAt: '2026-11-24T10:00:00.000Z',
}

/** Renders, or returns undefined if the template is refused. */
function renderOrRefuse(template: string, data = blog): string | undefined {
  try {
    return createEtaRenderer(template).render(data)
  } catch (error) {
    if (error instanceof TemplateError) return undefined
    throw error
  }
}

describe("createEtaRenderer, compared with the output of Go's engine", () => {
  const vectors = readVectors<Vector>('notification-templates.jsonl')
  const required = vectors.filter((vector) => vector.required)
  const others = vectors.filter((vector) => !vector.required)

  it('has 270 vectors', () => {
    expect(vectors).toHaveLength(270)
  })

  it.each(required)('renders $template for $artifact', ({ template, output, ...vector }) => {
    const data = { ...blog, Artifact: vector.artifact, ServiceName: vector.serviceName }
    expect(createEtaRenderer(template).render(data)).toBe(output)
  })

  it.each(others)('renders like Go or refuses $template for $artifact', (vector) => {
    const data = { ...blog, Artifact: vector.artifact, ServiceName: vector.serviceName }
    expect([vector.ok ? vector.output : undefined, undefined]).toContain(
      renderOrRefuse(vector.template, data),
    )
  })

  it('renders all templates that Go renders, except these', () => {
    const refused = vectors.filter((vector) => vector.ok).filter(isRefused)
    expect(new Set(refused.map((vector) => vector.template))).toEqual(
      new Set([
        '{{printf "%q" .Artifact}}',
        '{{.Artifact | printf "%q"}}',
        '{{.Artifact | js}}',
        '{{js .Artifact}}',
        '{{len .ServiceName}}',
        '{{.ServiceName | printf "%-10s|"}}',
        '{{slice .ServiceName 0 1}}',
        '{{index .ServiceName 0}}',
        '{{$x := .Artifact}}{{$x}}',
      ]),
    )
  })

  function isRefused(vector: Vector): boolean {
    return renderOrRefuse(vector.template) === undefined
  }
})

describe('createEtaRenderer', () => {
  // Each was run through Go 1.19.8's text/template as well, with these very results.
  it.each([
    ['\ufeff{{.Artifact}}', '\ufeffme/blog:v2'],
    ['a\r\n{{.ServiceName}}\r\n\t\\ $& %% \u2028\0', 'a\r\nblog\r\n\t\\ $& %% \u2028\0'],
    ['{{.ServiceName}}\n\n{{.ServiceName}}\n', 'blog\n\nblog\n'],
    [' \n {{- .ServiceName -}} \r\n\t x', 'blogx'],
    ['\v\u00a0 {{- .ServiceName -}} \v\u00a0', '\v\u00a0blog\v\u00a0'],
    ['a {{-\n.ServiceName\n-}} b', 'ablogb'],
    ['a {{.ServiceName\n|\nprint\n}} b', 'a blog b'],
    ['a {{- /* }} */ -}} b {{/**/}} c', 'ab  c'],
    ['{{$.ServiceName}}{{(.ServiceName)}}', 'blogblog'],
    ['{{if.ServiceName}}1{{else if(.ServiceName)}}2{{end}}', '1'],
    ['{{if ""}}1{{else if false}}2{{else}}3{{end}}', '3'],
    ['{{if eq .ServiceName "a" "b" "blog"}}1{{end}}', '1'],
    ['{{if eq true (ne .ServiceName "a")}}1{{end}}', '1'],
    ['{{with .ServiceName}}{{.}} {{$.Artifact}}{{end}}', 'blog me/blog:v2'],
    ['{{with ""}}1{{else}}{{.ServiceName}}{{end}}', 'blog'],
    ['{{with "a"}}{{with ""}}1{{else}}{{.}}{{end}}{{with "b"}}{{.}}{{end}}{{.}}{{end}}', 'aba'],
    ['{{with eq .ServiceName "blog"}}{{.}}{{end}}', 'true'],
    ['{{and .Artifact .ServiceName}}|{{and "" .Artifact}}|{{and true false "x"}}', 'blog||false'],
    ['{{or "" .ServiceName "x"}}|{{or "" false}}|{{or false ""}}', 'blog|false|'],
    ['{{not ""}}{{true | not}}{{"a" | eq "a"}}', 'truefalsetrue'],
    ['{{print}}|{{print true false "a" true "b" "c" true false}}', '|true falseatruebctrue false'],
    ['{{println}}{{println "a" true "b"}}', '\na true b\n'],
    ['{{printf "%s→%v %v 100%%%%" .ServiceName "a" true}}', 'blog→a true 100%%'],
    ['{{.ServiceName | printf "%v %s" "$&"}}', '$& blog'],
    ['{{"\\x00\\"\'&<>" | html}}{{html true false}}', '\uFFFD&#34;&#39;&amp;&lt;&gt;true false'],
    [
      '{{urlquery "a b+/é😀-_.~!*\'()" "\\n"}}',
      'a+b%2B%2F%C3%A9%F0%9F%98%80-_.~%21%2A%27%28%29%0A',
    ],
    ['{{"\\a\\b\\f\\n\\r\\t\\v\\\\\\"\\x41\\101\\u00e9\\U0001F600"}}', '\x07\b\f\n\r\t\v\\"AAé😀'],
    ['{{`\\n"\r\n{{}}`}}', '\\n"\n{{}}'],
    ['{{"\r}}{{"}}', '\r}}{{'],
    ['{{print print println}}', '\n'],
  ])('renders %j', (template, output) => {
    expect(createEtaRenderer(template).render(blog)).toBe(output)
  })

  it('compiles once and renders each event separately', () => {
    const { render } = createEtaRenderer('{{with .ServiceName}}{{.}}{{else}}none{{end}}')
    expect(render(blog)).toBe('blog')
    expect(render({ ...blog, ServiceName: '' })).toBe('none')
    expect(render({ ...blog, ServiceName: 'web' })).toBe('web')
  })

  it('accepts text of any length and an action with many values', () => {
    const text = '"%>`${\\\n'.repeat(100_000)
    expect(createEtaRenderer(text).render(blog)).toBe(text)
    const values = `{{print${' .ServiceName'.repeat(199)}}}`
    expect(createEtaRenderer(values).render(blog)).toBe('blog'.repeat(199))
    const nested = `${'{{with $.ServiceName}}'.repeat(100)}{{.}}${'{{end}}'.repeat(100)}`
    expect(createEtaRenderer(nested).render(blog)).toBe('blog')
  })

  it('throws an error with its position at construction', () => {
    const create = () => createEtaRenderer('Deployed\n{{.Image}}')
    expect(create).toThrow(TemplateError)
    expect(create).toThrow(
      'line 2, column 3: unknown variable ".Image"; the variables are .Artifact, .Caller, .DeploymentID,',
    )
  })
})

describe('metadata and json', () => {
  it.each([
    ['{{.Meta.commit}} {{$.Meta.branch}}', '1f2e3d main'],
    ['{{(.Meta).commit}}{{(or .Meta .Meta).branch}}', '1f2e3dmain'],
    ['[{{.Meta.tag}}]{{if .Meta.tag}}1{{else}}2{{end}}', '[]2'],
    ['{{or .Meta.tag "none"}}', 'none'],
    ['{{if eq .Meta.branch "main"}}1{{end}}', '1'],
    ['{{.Meta.commit | printf "%s!"}}', '1f2e3d!'],
    ['{{if .Meta}}1{{else}}2{{end}}{{not .Meta}}', '1false'],
    ['{{if and .Meta .Meta.tag}}1{{else if or .Meta.tag .Meta}}2{{end}}', '2'],
    ['{{with .Meta}}{{.commit}} of {{$.ServiceName}}{{.tag}}{{end}}', '1f2e3d of blog'],
    [
      '{{with .Meta}}{{.ServiceName}}{{with .branch}}{{.}} {{$.Event}}{{end}}{{end}}',
      'main rolled-back',
    ],
    [
      '{{with "a"}}{{with $.Meta}}{{.commit}}{{json .}}{{else}}1{{end}}{{.}}{{end}}',
      '1f2e3d{"branch":"main","commit":"1f2e3d"}a',
    ],
    ['{{json .Meta}}', '{"branch":"main","commit":"1f2e3d"}'],
    [
      '{{.Error | json}}{{json true}}{{json (eq "a" "b")}}{{json .Meta.tag}}',
      '"task 1 failed"truefalse""',
    ],
    [
      '{{if eq .Event "rolled-back"}}{{.Error}} after {{.Duration}}{{else}}fine{{end}}',
      'task 1 failed after 1m12.4s',
    ],
    ['{{if eq .Event "converged" "unchanged"}}fine{{end}}', ''],
    [
      '{{.Caller}} {{.DeploymentID}} {{.Digest}} {{.MessageID}}',
      'ci d1 sha256:2222 msg_1_rolled-back',
    ],
    [
      '{{.Previous}} {{.ServiceID}} {{.StartedAt}} {{.EndedAt}}',
      'me/blog:v1 x1 2026-11-24T10:00:00.000Z 2026-11-24T10:01:12.400Z',
    ],
  ])('render %j', (template, output) => {
    expect(createEtaRenderer(template).render(blog)).toBe(output)
  })

  it('render an event without metadata', () => {
    const template =
      '{{if .Meta}}1{{else}}2{{end}}{{with .Meta}}3{{else}}4{{end}}{{json .Meta}}{{.Meta.a}}{{not .Meta}}{{json (or .Meta "5")}}{{json (and .Meta "6")}}'
    expect(createEtaRenderer(template).render({ ...blog, Meta: {} })).toBe('24{}true"5"{}')
  })

  it('escape characters that end a script, a line or an attribute, as Go does', () => {
    const text = '</script>&\u2028\u2029"\\\n\0'
    expect(createEtaRenderer('{{json .Error}}').render({ ...blog, Error: text })).toBe(
      '"\\u003c/script\\u003e\\u0026\\u2028\\u2029\\"\\\\\\n\\u0000"',
    )
  })

  it('write a lone surrogate as U+FFFD, and keep surrogate pairs', () => {
    const text = '\ud800 \udc00 😀 \udc00\ud800'
    expect(createEtaRenderer('{{json .Error}}').render({ ...blog, Error: text })).toBe(
      '"\uFFFD \uFFFD 😀 \uFFFD\uFFFD"',
    )
  })

  it('sort the names of metadata', () => {
    const { render } = createEtaRenderer('{{json .Meta}}')
    const Meta = { b: '1', _: '2', '10': '3', B: '4', '9': '5' }
    expect(render({ ...blog, Meta })).toBe('{"10":"3","9":"5","B":"4","_":"2","b":"1"}')
  })

  const inherited = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'length', 'toJSON']

  it.each(inherited)('have no inherited member %s', (name) => {
    const template = `{{.Meta.${name}}}{{with .Meta}}{{.${name}}}{{end}}`
    const { render } = createEtaRenderer(template)
    expect(render(blog)).toBe('')
    expect(render({ ...blog, Meta: {} })).toBe('')
    const Meta = JSON.parse(`{"${name}": "sent"}`)
    expect(render({ ...blog, Meta })).toBe('sentsent')
    expect(createEtaRenderer('{{json .Meta}}').render({ ...blog, Meta })).toBe(`{"${name}":"sent"}`)
  })
})

describe('any JSON message', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .array(
        fc.oneof(
          fc.constantFrom(
            '"',
            "'",
            '\\',
            '\\u',
            '{{',
            '}}',
            '{{.Error}}',
            '</script>',
            '<!--',
            '&',
          ),
          fc.constantFrom(
            '\0',
            '\x1f',
            '\x7f',
            '\r\n',
            '\u2028',
            '\u2029',
            '\ufeff',
            '<%',
            '%>',
            '${',
          ),
          fc.integer({ min: 0xd800, max: 0xdfff }).map((unit) => String.fromCharCode(unit)),
          fc.string({ unit: 'binary' }),
        ),
      )
      .map((parts) => parts.join('')),
    fc.constantFrom('"\\\ud800'.repeat(1000)),
  )
  const names = fc.oneof(
    fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/),
    fc.constantFrom('__proto__', 'constructor', 'toJSON', 'commit'),
    hostile,
  )
  const metadata = fc.dictionary(names, hostile, { maxKeys: 8 })

  it('parses to the values that it was rendered from', () => {
    const { render } = createEtaRenderer(
      '{"a": {{json .Error}}, "b": {{json .Meta}}, "c": {{json .Meta.commit}}}',
    )
    fc.assert(
      fc.property(hostile, metadata, (text, Meta) => {
        const message = render({ ...blog, Error: text, Meta })
        const sent = new Map(
          Object.entries(Meta).map(([name, value]) => [whole(name), whole(value)]),
        )
        fc.pre(sent.size === Object.keys(Meta).length)
        const { a, b, c } = JSON.parse(message)
        expect(a).toBe(whole(text))
        expect(new Map(Object.entries(b))).toEqual(sent)
        expect(c).toBe(Object.hasOwn(Meta, 'commit') ? whole(Meta.commit ?? '') : '')
        expect(message).toBe(whole(message))
        expect(message).not.toMatch(/[<>&\u2028\u2029]/)
      }),
    )
  })

  it('is valid with hostile text in every variable', () => {
    const variables = Object.keys(blog).filter((name) => name !== 'Meta')
    const members = variables.map((name) => `"${name}": {{json .${name}}}`)
    const { render } = createEtaRenderer(`{${members.join(', ')}}`)
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 1 }), (texts) => {
        const values = variables.map((name, index) => [name, texts[index % texts.length] ?? ''])
        const data: MessageData = { ...blog, ...Object.fromEntries(values) }
        const expected = values.map(([name, text]) => [name, whole(text ?? '')])
        expect(JSON.parse(render(data))).toEqual(Object.fromEntries(expected))
      }),
    )
  })

  /** A text as UTF-8 has it: U+FFFD for half a surrogate pair. */
  function whole(text: string): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(text))
  }
})

describe('docs/messages.md', () => {
  const page = readFileSync(new URL('../../docs/messages.md', import.meta.url), 'utf8')

  it('has a row for each variable', () => {
    const rows = [...page.matchAll(/^\| `\{\{\.(\w+)(?:\.commit)?\}\}`/gm)].map(([, name]) => name)
    expect(rows).toEqual(Object.keys(messageFields))
  })

  it('shows templates that can be used', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| '))
    const examples = rows.flatMap((row) => row.match(/(?<=`)\{\{.*?\}\}(?=`)/g) ?? [])
    expect(examples.length).toBeGreaterThan(20)
    for (const example of examples) {
      expect(() => createEtaRenderer(example.replaceAll('\\|', '|'))).not.toThrow()
    }
  })

  it('shows a JSON message', () => {
    const blocks = fencedBlocks('docs/messages.md')
    const { render } = createEtaRenderer(codeUnder(blocks, 'JSON', { language: 'template' }))
    expect(JSON.parse(render({ ...blog, Error: '"\n' }))).toEqual({
      text: 'blog: rolled-back',
      error: '"\n',
      commit: '1f2e3d',
      metadata: blog.Meta,
    })
  })
})

describe('JavaScript', () => {
  afterEach(() => {
    const wasReached = 'reached' in globalThis
    Reflect.deleteProperty(globalThis, 'reached')
    expect(wasReached).toBe(false)
  })

  it.each([
    '{{process.exit(1)}}',
    '{{globalThis.reached = 1}}',
    '{{.constructor}}',
    '{{.__proto__}}',
    '{{$.constructor}}',
    '{{.Artifact.constructor}}',
    '{{.Meta.commit.constructor}}',
    '{{.Meta["commit"]}}',
    '{{.Meta.constructor.constructor}}',
    '{{json .constructor}}',
    '{{(json .Meta).constructor}}',
    '{{.Artifact.length}}',
    '{{constructor}}',
    '{{__proto__ .Artifact}}',
    '{{toString}}',
    '{{it.data.Artifact}}',
    '{{include "x"}}',
    '{{layout "x"}}',
    '{{with .Artifact}}{{.constructor}}{{end}}',
    '{{"a" + "b"}}',
    '{{.Artifact; globalThis.reached = 1}}',
    '{{/* a */ globalThis.reached = 1 /* b */}}',
    '{{if true) { globalThis.reached = 1 } if (true}}{{end}}',
    '{{`a` + (globalThis.reached = 1)}}',
  ])('is refused: %j', (template) => {
    expect(() => createEtaRenderer(template)).toThrow(TemplateError)
  })

  const code = [
    '<% globalThis.reached = 1 %>',
    '<%= globalThis.reached = 1 %>',
    '<%~ it.data.Artifact %>',
    '<%- 1 -%>',
    '%> <% globalThis.reached = 1',
    '${globalThis.reached = 1}',
    '"; globalThis.reached = 1; "',
    "'; globalThis.reached = 1; '",
    '*/ globalThis.reached = 1 /*',
    '\\"; globalThis.reached = 1 //',
    '\u2028globalThis.reached = 1\u2029',
    '${it.functions.print.constructor("globalThis.reached = 1")()}',
  ]

  it.each([...code, '`${globalThis.reached = 1}`'])('is text: %j', (text) => {
    expect(createEtaRenderer(text).render(blog)).toBe(text)
  })

  it.each(code)('is a string: %j', (text) => {
    expect(createEtaRenderer(`{{\`${text}\`}}`).render(blog)).toBe(text)
    const escaped = text.replace(/[\\"]/g, '\\$&')
    expect(createEtaRenderer(`{{if true}}{{print "${escaped}"}}{{end}}`).render(blog)).toBe(text)
  })

  it.each([...code, '`${globalThis.reached = 1}`'])('is a value: %j', (Artifact) => {
    const template = '{{.Artifact}}{{with .Artifact}}{{printf "%s" .}}{{end}}'
    expect(createEtaRenderer(template).render({ ...blog, Artifact })).toBe(Artifact + Artifact)
  })

  it.each([...code, '`${globalThis.reached = 1}`'])('is metadata: %j', (text) => {
    const template = '{{.Meta.commit}}{{with .Meta}}{{.commit}}{{end}}'
    const Meta = { commit: text, [text]: text }
    expect(createEtaRenderer(template).render({ ...blog, Meta })).toBe(text + text)
    expect(JSON.parse(createEtaRenderer('{{json .Meta}}').render({ ...blog, Meta }))).toEqual(Meta)
  })
})

describe('any template', () => {
  const text = fc.string({ unit: 'binary' })
  const hostile = fc.array(
    fc.oneof(
      fc.constantFrom(...['<%', '%>', '`', '${', '}', '"', "'", '\\', '$&', '\r\n', '{{', '}}']),
      text,
    ),
  )

  it('leaves hostile values as they are', () => {
    const { render } = createEtaRenderer('{{.Artifact}}{{.ServiceName}}')
    fc.assert(
      fc.property(hostile, text, (parts, ServiceName) => {
        const Artifact = parts.join('')
        expect(render({ ...blog, Artifact, ServiceName })).toBe(Artifact + ServiceName)
      }),
    )
  })

  it('without "{{" renders as itself', () => {
    const plain = hostile.map((parts) => parts.join('').replace(/\{(?=\{)/g, '{ '))
    fc.assert(
      fc.property(plain, (source) => {
        expect(renderOrRefuse(source)).toBe(source)
      }),
    )
  })

  it('renders or throws a TemplateError', () => {
    fc.assert(fc.property(hostile, (parts) => void renderOrRefuse(parts.join(''))))
  })

  it('renders or throws a TemplateError if it is a random sequence of template tokens', () => {
    const words = [
      ...['{{', '}}', '{{- ', ' -}}', '{{-', '-}}', '{{/*', '*/}}', '(', ')', '|', ' ', '\n', ','],
      ...['{{if .Artifact}}', '{{if ', '{{else}}', '{{else if ', '{{end}}', '{{with ', '{{', '}}'],
      ...[
        '.Artifact',
        '$.ServiceName',
        '.Meta',
        '.commit',
        '{{with .Meta}}',
        '.',
        '$',
        '$x',
        ':=',
        '.Nope',
        'true',
        '"a"',
        '`b',
        '"',
        '1',
      ],
      ...[
        'eq ',
        'ne ',
        'and ',
        'or ',
        'not ',
        'print ',
        'printf "%s" ',
        'html ',
        'json ',
        'urlquery ',
        'len ',
      ],
    ]
    const soup = fc.array(fc.constantFrom(...words), { maxLength: 20 })
    fc.assert(
      fc.property(soup, (parts) => void renderOrRefuse(parts.join(''))),
      { numRuns: 5000 },
    )
  })
})
