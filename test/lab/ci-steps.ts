// The deploy steps of docs/ci.md, as each CI system runs them.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { codeUnder, fencedBlocks } from '../support/fenced-blocks.ts'

/** A step of a pipeline that deploys. */
export interface CiStep {
  readonly name: string
  /** The shell command that the CI system runs the script with. */
  readonly shell: readonly string[]
  readonly script: string
  /** The environment in the document, with expressions and variables replaced. */
  readonly env: Readonly<Record<string, string>>
}

/** The values that a CI system and the reader of the document provide. */
export interface CiRun {
  /** The tag of the image, which is the commit in the document. */
  readonly commit: string
  readonly digest: string
  readonly token: string
  /** The unique ID of the run. */
  readonly run: string
}

/** The parts of the lab that replace the names in the document. */
export interface StepPlace {
  /** The step runs in a new folder in this directory. */
  readonly directory: string
  /** The URL of Deployer. */
  readonly url: string
  readonly service: string
  /** The repository of the image. */
  readonly repository: string
  /** The query parameter `wait`, in seconds. Default: 50, as in the document. */
  readonly wait?: string
  /** The content of `.curlrc`. */
  readonly curlConfig?: string
}

/** A step that ended. */
export interface EndedStep {
  readonly status: number
  /** Standard output and standard error. */
  readonly output: string
  readonly tookMs: number
}

const blocks = fencedBlocks('docs/ci.md')
const sh = ['sh', '-e']

/** The steps by name. A step throws if the document uses a variable that the run does not have. */
export const ciSteps: Readonly<Record<string, (run: CiRun) => CiStep>> = {
  'GitHub Actions': gitHub,
  'GitLab CI': gitLab,
  Woodpecker: (run) => steps('Woodpecker', run),
  Drone: (run) => steps('Drone', run),
  Jenkins: jenkins,
  'the line alone': (run) => plain('In CI', 0, run),
  'the token by standard input': (run) => plain('Jenkins', 0, run),
  'several Deployers': (run) => plain('Several Deployers, or connections that break', 0, run),
  'an older curl': (run) => plain('With an older curl', 0, run),
  'a live log': liveLog,
}

/**
 * Runs a step to its end.
 *
 * @param step The step.
 * @param place The parts of the lab that the step uses.
 * @returns Its exit status and its output.
 */
export async function runStep(
  { shell, script, env }: CiStep,
  { directory, url, service, repository, wait = '50', curlConfig = '' }: StepPlace,
): Promise<EndedStep> {
  const placed = (text: string): string =>
    text
      .replaceAll('https://deployer.example.com', url)
      .replaceAll('registry.example.com/me/blog', repository)
      .replaceAll('/service/blog', `/service/${service}`)
      .replaceAll('wait=50', `wait=${wait}`)
  const folder = await mkdtemp(join(directory, 'ci-'))
  const file = join(folder, 'script.sh')
  await writeFile(file, placed(script))
  await writeFile(join(folder, '.curlrc'), curlConfig)
  const placedEnv = Object.entries(env).map(([name, value]) => [name, placed(value)])
  const [program = 'sh', ...flags] = shell
  const startedAt = performance.now()
  const child = execFile(program, [...flags, file], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, ...Object.fromEntries(placedEnv) },
  })
  child.stdin?.end()
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      output += data
    })
  }
  const [status] = await once(child, 'close')
  return { status, output, tookMs: performance.now() - startedAt }
}

/** GitHub writes `run` to a file and calls `bash -e {0}`. */
function gitHub({ commit, digest, token, run }: CiRun): CiStep {
  const workflow = parse(codeUnder(blocks, 'GitHub Actions', { language: 'yaml' }))
  const step = workflow.jobs.deploy.steps.find((each: { run?: string }) => each.run !== undefined)
  const values: Readonly<Record<string, string>> = {
    'github.sha': commit,
    'steps.push.outputs.digest': digest,
    'secrets.DEPLOYER_TOKEN': token,
    'github.run_id': run,
    'github.run_attempt': '1',
  }
  const filled = (text: string): string =>
    text.replace(/\$\{\{ (\S+) \}\}/g, (_, name) => known(values, name))
  const env = Object.entries<string>(step.env).map(([name, value]) => [name, filled(value)])
  return {
    name: 'GitHub Actions',
    shell: ['bash', '-e'],
    script: step.run,
    env: Object.fromEntries(env),
  }
}

/** The runner evaluates the lines of `script` in one shell. Variables may refer to others. */
function gitLab({ commit, token, run }: CiRun): CiStep {
  const { deploy } = parse(codeUnder(blocks, 'GitLab CI', { language: 'yaml' }))
  const values: Readonly<Record<string, string>> = {
    CI_COMMIT_SHA: commit,
    CI_JOB_ID: run,
    DEPLOYER_TOKEN: token,
  }
  const variables = Object.entries<string>(deploy.variables).map(([name, value]) => [
    name,
    value.replace(/\$(\w+)/g, (_, other) => known(values, other)),
  ])
  return {
    name: 'GitLab CI',
    shell: sh,
    script: deploy.script.join('\n'),
    env: { ...values, ...Object.fromEntries(variables) },
  }
}

/** Woodpecker and Drone replace `${NAME}` before they parse the YAML; unknown names become empty. */
function steps(name: 'Woodpecker' | 'Drone', { commit, token, run }: CiRun): CiStep {
  const values: Readonly<Record<string, string>> =
    name === 'Drone'
      ? { DRONE_COMMIT_SHA: commit, DRONE_REPO: 'me/blog', DRONE_BUILD_NUMBER: run }
      : { CI_COMMIT_SHA: commit, CI_REPO: 'me/blog', CI_PIPELINE_NUMBER: run }
  const text = codeUnder(blocks, name, { language: 'yaml' })
  const config = parse(text.replace(/\$\{(\w+)\}/g, (_, other) => values[other] ?? ''))
  const [step] = config.steps
  const environment = Object.entries<string | { from_secret: string }>(step.environment)
  const secrets = { deployer_token: token }
  const env = environment.map(([key, value]) => [
    key,
    typeof value === 'string' ? value : known(secrets, value.from_secret),
  ])
  return {
    name,
    shell: sh,
    script: step.commands.join('\n'),
    env: { ...values, ...Object.fromEntries(env) },
  }
}

/** `sh` steps run with `sh -xe`, which prints each command with its variables replaced. */
function jenkins({ commit, token, run }: CiRun): CiStep {
  const code = codeUnder(blocks, 'Jenkins', { language: 'groovy' })
  const [, quoted = ''] = /sh '''([\s\S]*?)'''/.exec(code) ?? []
  const [, url = ''] = /DEPLOYER_URL = '(.*)'/.exec(code) ?? []
  return {
    name: 'Jenkins',
    shell: ['sh', '-xe'],
    script: groovyString(quoted),
    env: {
      DEPLOYER_URL: url,
      DEPLOYER_TOKEN: token,
      GIT_COMMIT: commit,
      BUILD_TAG: `jenkins-blog-${run}`,
    },
  }
}

function plain(heading: string, nth: number, { commit, token, run }: CiRun): CiStep {
  return {
    name: heading,
    shell: sh,
    script: codeUnder(blocks, heading, { language: 'sh', nth }),
    env: {
      DEPLOYER_URL: 'https://deployer.example.com',
      DEPLOYER_TOKEN: token,
      IMAGE: `registry.example.com/me/blog:${commit}`,
      BUILD_ID: run,
    },
  }
}

/** The stream runs between the deployment and the last request for the verdict. */
function liveLog(run: CiRun): CiStep {
  const around = plain('Several Deployers, or connections that break', 0, run)
  const stream = codeUnder(blocks, 'A live log', { language: 'sh' })
  const lines = around.script.trimEnd().split('\n')
  return { ...around, script: [...lines.slice(0, -1), stream, lines.at(-1), ''].join('\n') }
}

/** Replaces the escape sequences of a Groovy string in single quotes. */
function groovyString(quoted: string): string {
  return quoted.replace(/\\(\n|.)/g, (_, escaped) =>
    escaped === '\n' ? '' : escaped === 'n' ? '\n' : escaped === 't' ? '\t' : escaped,
  )
}

function known(values: Readonly<Record<string, string>>, name: string): string {
  const value = values[name]
  if (value === undefined) throw new Error(`docs/ci.md uses ${name}, which this test does not know`)
  return value
}
