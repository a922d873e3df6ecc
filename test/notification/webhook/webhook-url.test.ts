import { describe, expect, test } from 'vitest'
import { createEtaRenderer } from '../../../src/node/eta-renderer.ts'
import { messageData } from '../../../src/notification/message-data.ts'
import { urlTemplateError, webhookUrl } from '../../../src/notification/webhook/webhook-url.ts'
import { exampleEvent } from '../../support/example-event.ts'

describe('the template of a URL', () => {
  const dataWith = (metadata: Record<string, string>) => messageData(exampleEvent({ metadata }))
  const made = (template: string, metadata: Record<string, string>): string => {
    const result = webhookUrl(createEtaRenderer(template), dataWith(metadata))
    return 'url' in result ? result.url.href : result.error
  }

  test.each([
    ['me/blog:v2', 'https://h.example/hooks/me%2Fblog%3Av2/x'],
    ['a..b/..c/d..', 'https://h.example/hooks/a..b%2F..c%2Fd../x'],
    ['100%', 'https://h.example/hooks/100%25/x'],
    ['%2', 'https://h.example/hooks/%252/x'],
    ['%c3%a9', 'https://h.example/hooks/%25c3%25a9/x'],
    ['é', 'https://h.example/hooks/%C3%A9/x'],
    ['?x=', 'https://h.example/hooks/%3Fx%3D/x'],
    ['#', 'https://h.example/hooks/%23/x'],
    ['//evil', 'https://h.example/hooks/%2F%2Fevil/x'],
    ['@evil', 'https://h.example/hooks/%40evil/x'],
    ['\\evil', 'https://h.example/hooks/%5Cevil/x'],
    ['a\r\nb\tc', 'https://h.example/hooks/a%0D%0Ab%09c/x'],
    ['{{.Caller}}', 'https://h.example/hooks/%7B%7B.Caller%7D%7D/x'],
    ['\ud800', 'https://h.example/hooks/%EF%BF%BD/x'],
    ['...', 'https://h.example/hooks/.../x'],
  ])('keeps %j where it is', (room, expected) => {
    expect(made('https://h.example/hooks/{{.Meta.room}}/x', { room })).toBe(expected)
  })

  test.each([
    ...['', '.', '..', '../admin', '../../admin', 'a/../../admin', 'a/..', './a', 'a/.', '/../a'],
    ...['..\\admin', 'a\\..\\..\\b', '\\..', '\\', '/', '//', '/\\/'],
    ...['%2e%2e', '%2E./a', '..%2fadmin', '..%5cadmin', '%252e%252e%252fadmin', '%2f', '%25252f'],
    ...['..;/admin', '..;x=1/admin', ';x', '.. /admin', '..\u0000', '..\t/admin', ' ', '%20'],
    ...[`%${'25'.repeat(300)}2e./a`, '%%32e./a', '%2%65%2e'],
  ])('refuses %j, which a server may read as another place', (room) => {
    for (const template of ['hooks/{{.Meta.room}}/x', 'hooks/{{.Meta.room}}', '{{.Meta.room}}/']) {
      expect(made(`https://h.example/${template}`, { room })).toBe(
        'a segment of its path is empty, "." or "..", perhaps once it is decoded',
      )
    }
  })

  test('looks at the path alone: a query may hold anything', () => {
    expect(made('https://h.example/hooks?to={{.Meta.a}}', { a: '../admin' })).toBe(
      'https://h.example/hooks?to=..%2Fadmin',
    )
  })

  test('what a template holds itself may be encoded', () => {
    expect(made('https://h.example/projects/group%2Fapp/{{.Meta.a}}', { a: 'x' })).toBe(
      'https://h.example/projects/group%2Fapp/x',
    )
  })

  test('does not let values join to what none of them is', () => {
    const dots = 'https://h.example/{{.Meta.a}}{{.Meta.b}}/x'
    expect(made(dots, { a: '.', b: '.' })).toMatch(/^a segment/)
    expect(made(dots, { a: '.', b: './a' })).toMatch(/^a segment/)
    expect(made(dots, { a: '%2', b: 'e./a' })).toMatch(/^a segment/)
    expect(made('https://h.example/%2e{{.Meta.a}}', { a: '.' })).toMatch(/^a segment/)
    expect(made('https://h.example/a{{.Meta.a}}', { a: '..' })).toBe('https://h.example/a..')
  })

  test('may end in a slash itself, but not for want of a value', () => {
    expect(made('https://h.example/hooks/', {})).toBe('https://h.example/hooks/')
    expect(made('https://h.example/{{.Meta.a}}/', { a: 'x' })).toBe('https://h.example/x/')
    expect(made('https://h.example/{{.Meta.a}}', { a: 'x' })).toBe('https://h.example/x')
    expect(made('https://h.example/{{.Meta.a}}', {})).toMatch(/^a segment/)
    expect(made('https://h.example/{{.Meta.a}}?b={{.Meta.b}}', { a: '1' })).toMatch(/\?b=$/)
  })

  test('cannot lead to another host', () => {
    const host = createEtaRenderer('https://{{.Meta.host}}/x')
    expect(webhookUrl(host, dataWith({ host: 'evil.example' }))).toEqual({
      error: 'a value leads to another host',
    })
  })

  test.each([
    ['https://h.example', undefined],
    ['http://h.example:8080/a/b?c=d', undefined],
    ['https://h.example/{{ .Meta.room }}', undefined],
    ['HTTPS://h.example/{{if .Error}}bad{{end}}', undefined],
    ['', 'it must begin with http:// or https://'],
    ['h.example/x', 'it must begin with http:// or https://'],
    ['ftp://h.example/', 'it must begin with http:// or https://'],
    ['{{.Meta.url}}', 'it must begin with http:// or https://'],
    ['https://{{.Meta.host}}/', 'a variable must come after the host and a /'],
    ['https://h.{{.Meta.host}}/', 'a variable must come after the host and a /'],
    ['https://h.example{{.Meta.path}}', 'a variable must come after the host and a /'],
    ['https://h.example:{{.Meta.port}}/', 'a variable must come after the host and a /'],
    ['https://h.example?{{.Meta.q}}', 'a variable must come after the host and a /'],
    ['https:///{{.Meta.q}}', 'a variable must come after the host and a /'],
    ['https://h:99999/', 'it is no URL'],
    ['https://', 'it is no URL'],
    ['https://me:pw@h.example/', 'it must not have credentials: send an Authorization header'],
    [
      'https://me@h.example/{{.Event}}',
      'it must not have credentials: send an Authorization header',
    ],
    ['https://h.example/ x', 'it must not have white space, control characters or backslashes'],
    ['https://h.example/x\n', 'it must not have white space, control characters or backslashes'],
    [
      'https://h.example\\{{.Event}}',
      'it must not have white space, control characters or backslashes',
    ],
    [
      'https://h.example/{{.Event}}\u0007',
      'it must not have white space, control characters or backslashes',
    ],
  ])('%j is checked', (template, error) => {
    expect(urlTemplateError(template)).toBe(error)
  })
})
