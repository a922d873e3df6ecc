// Messages as they come out: Go's, to the byte, and never JavaScript's.

// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this code is to stay text
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { TemplateFault } from '../../src/go-template/fault.ts'
import { createEtaRenderer } from '../../src/node/eta.ts'
import { readVectors } from '../support/vectors.ts'

interface Vector {
  readonly template: string
  readonly serviceName: string
  readonly artifact: string
  readonly ok: boolean
  readonly output: string
  readonly required: boolean
}

const blog = { Artifact: 'me/blog:v2', ServiceName: 'blog' }

/** Renders, or gives nothing when the template is refused. */
function renderOrRefuse(template: string, data = blog): string | undefined {
  try {
    return createEtaRenderer(template).render(data)
  } catch (error) {
    if (error instanceof TemplateFault) return undefined
    throw error
  }
}

describe("createEtaRenderer, held to what Go's own engine wrote", () => {
  const vectors = readVectors<Vector>('notification-templates.jsonl')
  const required = vectors.filter((vector) => vector.required)
  const others = vectors.filter((vector) => !vector.required)

  it('has 270 vectors', () => {
    expect(vectors).toHaveLength(270)
  })

  it.each(required)('renders $template for $artifact', ({ template, output, ...vector }) => {
    const data = { Artifact: vector.artifact, ServiceName: vector.serviceName }
    expect(createEtaRenderer(template).render(data)).toBe(output)
  })

  it.each(others)('renders as Go or refuses $template for $artifact', (vector) => {
    const data = { Artifact: vector.artifact, ServiceName: vector.serviceName }
    expect([vector.ok ? vector.output : undefined, undefined]).toContain(
      renderOrRefuse(vector.template, data),
    )
  })

  it('renders all but these of what Go renders', () => {
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

  it('compiles once and renders each event for itself', () => {
    const { render } = createEtaRenderer('{{with .ServiceName}}{{.}}{{else}}none{{end}}')
    expect(render(blog)).toBe('blog')
    expect(render({ ...blog, ServiceName: '' })).toBe('none')
    expect(render({ ...blog, ServiceName: 'web' })).toBe('web')
  })

  it('takes text of any length and an action of many values', () => {
    const text = '"%>`${\\\n'.repeat(100_000)
    expect(createEtaRenderer(text).render(blog)).toBe(text)
    const values = `{{print${' .ServiceName'.repeat(199)}}}`
    expect(createEtaRenderer(values).render(blog)).toBe('blog'.repeat(199))
    const nested = `${'{{with $.ServiceName}}'.repeat(100)}{{.}}${'{{end}}'.repeat(100)}`
    expect(createEtaRenderer(nested).render(blog)).toBe('blog')
  })

  it('throws a fault with its place at construction', () => {
    const create = () => createEtaRenderer('Deployed\n{{.Image}}')
    expect(create).toThrow(TemplateFault)
    expect(create).toThrow(
      'line 2, column 3: unknown variable ".Image"; the variables are .Artifact and .ServiceName',
    )
  })
})

describe('JavaScript', () => {
  afterEach(() => {
    expect(Reflect.deleteProperty(globalThis, 'reached') && 'reached' in globalThis).toBe(false)
  })

  it.each([
    '{{process.exit(1)}}',
    '{{globalThis.reached = 1}}',
    '{{.constructor}}',
    '{{.__proto__}}',
    '{{$.constructor}}',
    '{{.Artifact.constructor}}',
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
    expect(() => createEtaRenderer(template)).toThrow(TemplateFault)
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
        expect(render({ Artifact, ServiceName })).toBe(Artifact + ServiceName)
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

  it('renders or faults, whatever it is', () => {
    fc.assert(fc.property(hostile, (parts) => void renderOrRefuse(parts.join(''))))
  })

  it('renders or faults when it is a soup of what templates are made of', () => {
    const words = [
      ...['{{', '}}', '{{- ', ' -}}', '{{-', '-}}', '{{/*', '*/}}', '(', ')', '|', ' ', '\n', ','],
      ...['{{if .Artifact}}', '{{if ', '{{else}}', '{{else if ', '{{end}}', '{{with ', '{{', '}}'],
      ...[
        '.Artifact',
        '$.ServiceName',
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
