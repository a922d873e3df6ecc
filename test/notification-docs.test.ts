// The templates and settings of docs/notifications.md render valid JSON for every event.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createEtaRenderer } from '../src/node/eta-renderer.ts'
import { readNotifyFlags } from '../src/node/settings/notify-flags.ts'
import { createSettingsIssues } from '../src/node/settings/settings-issue.ts'
import { type DeploymentEvent, deploymentEventNames } from '../src/notification/deployment-event.ts'
import { messageData } from '../src/notification/message-data.ts'
import { defaultBody } from '../src/notification/webhook/webhook-body.ts'
import { exampleEvent } from './support/example-event.ts'
import { codeUnder, fencedBlocks } from './support/fenced-blocks.ts'

const blocks = fencedBlocks('docs/notifications.md')
const templates = blocks.filter(({ language }) => language === 'template')
const settings = codeUnder(blocks, 'GitHub deployment status', { language: 'json' })

function render(heading: string, event: DeploymentEvent): string {
  return createEtaRenderer(codeUnder(blocks, heading, { language: 'template' })).render(
    messageData(event),
  )
}

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.constantFrom('"', '\\', '\n', '\0', '{{', '}}', '</script>', '\ud800', '"}]}', '@everyone'),
)

const events = fc.record({
  id: hostile,
  event: fc.constantFrom(...deploymentEventNames),
  service: hostile,
  serviceId: hostile,
  image: hostile,
  digest: hostile,
  previous: hostile,
  deploymentId: hostile,
  caller: hostile,
  error: hostile,
  startedAt: fc.constant('2026-11-24T10:00:00.000Z'),
  endedAt: fc.constantFrom('', '2026-11-24T10:01:12.400Z'),
  metadata: fc.dictionary(fc.constantFrom('github_deployment', 'run_url', 'commit'), hostile),
})

describe('the templates', () => {
  it('are those of Slack, Discord, Teams, Mattermost and GitHub', () => {
    expect(templates.map(({ heading }) => heading)).toEqual([
      'Slack',
      'Discord',
      'Microsoft Teams',
      'Mattermost',
      'GitHub deployment status',
    ])
  })

  it.each(templates.map(({ heading }) => heading))(
    'of %s renders valid JSON for any event',
    (heading) => {
      const { render: renderTemplate } = createEtaRenderer(
        codeUnder(blocks, heading, { language: 'template' }),
      )
      fc.assert(
        fc.property(events, (event) => {
          const body = renderTemplate(messageData(event))
          const isSilent =
            heading === 'GitHub deployment status' && !event.metadata.github_deployment
          if (isSilent) {
            expect(body.trim()).toBe('')
          } else {
            expect(typeof JSON.parse(body)).toBe('object')
          }
        }),
        { numRuns: 500 },
      )
    },
  )

  const ended = { endedAt: '2026-11-24T10:01:12.400Z' }
  const failed = exampleEvent({ event: 'failed', error: 'task 1 "failed" <@U1>', ...ended })
  const good = exampleEvent({ event: 'converged', ...ended })

  it('send the start, success and failure to Slack', () => {
    const text = (event: DeploymentEvent): unknown =>
      JSON.parse(render('Slack', event)).blocks[0].text.text
    expect([exampleEvent(), good, failed].map(text)).toEqual([
      '⏳ blog: me/blog:v2 is being deployed, before: me/blog:v1',
      '✅ blog runs me/blog:v2 (after 1m12.4s)',
      '❌ blog: failed of me/blog:v2: task 1 "failed" <@U1>',
    ])
  })

  it('send the error to Discord, Teams and Mattermost', () => {
    expect(JSON.parse(render('Discord', failed)).content).toBe(
      '**blog**: me/blog:v2 failed task 1 "failed" <@U1>',
    )
    const card = JSON.parse(render('Microsoft Teams', failed)).attachments[0].content
    expect(card.body[1].facts[3]).toEqual({ title: 'Error', value: failed.error })
    expect(JSON.parse(render('Mattermost', failed)).props).toEqual({ card: failed.error })
    expect(JSON.parse(render('Mattermost', good)).props).toBeUndefined()
  })

  it('send a state that GitHub knows, for every event', () => {
    const metadata = { github_deployment: '1234', run_url: 'https://ci.example.com/7' }
    const states = deploymentEventNames.map((event) => {
      const body = JSON.parse(render('GitHub deployment status', exampleEvent({ event, metadata })))
      expect([body.description.length < 140, body.log_url]).toEqual([true, metadata.run_url])
      return [event, body.state]
    })
    expect(Object.fromEntries(states)).toEqual({
      accepted: 'in_progress',
      unchanged: 'success',
      converged: 'success',
      'rolled-back': 'failure',
      paused: 'failure',
      failed: 'failure',
      'timed-out': 'error',
      superseded: 'inactive',
      removed: 'error',
      unknown: 'error',
      refused: 'error',
    })
  })
})

describe('the settings', () => {
  it('of GitHub are valid with the template in them', () => {
    const issues = createSettingsIssues()
    const template = Buffer.from(
      codeUnder(blocks, 'GitHub deployment status', { language: 'template' }),
    )
    const text = settings.replace('"…"', `"${template.toString('base64')}"`).replace('_…', '_x')
    const read = readNotifyFlags(text, issues)
    expect([...issues.errors, ...issues.warnings]).toEqual([])
    expect(read).toMatchObject([{ type: 'webhook', events: expect.arrayContaining(['unknown']) }])
  })
})

describe('the default body', () => {
  it('has the members that the page shows', () => {
    const shown = JSON.parse(codeUnder(blocks, 'Webhooks', { language: 'json' }))
    const sent = JSON.parse(defaultBody(exampleEvent()))
    expect(Object.keys(sent)).toEqual(Object.keys(shown))
    expect(Object.keys(sent.data)).toEqual(Object.keys(shown.data))
  })

  it('is valid JSON for any event', () => {
    fc.assert(
      fc.property(events, (event) => {
        expect(JSON.parse(defaultBody(event)).data.error).toBe(event.error)
      }),
    )
  })
})
