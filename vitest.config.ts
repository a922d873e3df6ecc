import type { ViteUserConfig } from 'vitest/config'

const source = (path: string): string => new URL(path, import.meta.url).pathname

/** Test files that load the machine until the end; only `.ci/run` and `npm run test:chaos` run them. */
const CHAOS = ['notification-storm', 'two-deployers'].map((name) => `test/lab/${name}.test.ts`)

/** Needs a swarm of four nodes; only `npm run test:cluster` runs it. */
const CLUSTER = 'test/lab/three-managers.test.ts'

/** What also runs on the Docker Engines of other Debian suites, with `npm run test:engines`. */
const ON_OTHER_ENGINES = [
  'convergence',
  'deployment',
  'engine-suite',
  'history*',
  'odd-services',
  'swarm-contract',
  'verdict*',
].map((name) => `test/lab/${name}.test.ts`)

/** For all projects that run against real daemons. A busy machine may need this long. */
const LAB = {
  globalSetup: ['test/lab/global-setup.ts'],
  testTimeout: 300_000,
  hookTimeout: 300_000,
}

const config: ViteUserConfig = {
  test: {
    // Projects run one after the other (`groupOrder`): the unit tests use all processors, while the
    // tests of the lab mostly wait.
    projects: [
      {
        // The examples of the documents import the package by its name.
        resolve: {
          alias: [
            { find: /^swarm-deployer$/, replacement: source('src/index.ts') },
            { find: /^swarm-deployer\/node$/, replacement: source('src/node/index.ts') },
          ],
        },
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/lab/**'],
          // For a busy machine: it ends what hangs, and measures nothing.
          testTimeout: 180_000,
          maxConcurrency: 16,
          // Vitest's default is one less than the number of processors.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...LAB,
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          exclude: [...CHAOS, CLUSTER, 'test/lab/engine-suite.test.ts'],
          // One lab for each worker.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...LAB,
          name: 'chaos',
          include: CHAOS,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          testTimeout: LAB.testTimeout,
          hookTimeout: LAB.hookTimeout,
          name: 'cluster',
          include: [CLUSTER],
          sequence: { groupOrder: 4 },
        },
      },
      // 26.1 and, while Debian does not have a newer one, 28.5.
      ...['trixie', 'sid'].map((suite) => ({
        test: {
          ...LAB,
          name: `engine-${suite}`,
          include: ON_OTHER_ENGINES,
          env: { LAB_ENGINE_SUITE: suite },
          // Both engines at the same time, since the tests mostly wait.
          maxWorkers: 4,
          sequence: { groupOrder: 3 },
        },
      })),
    ],
  },
}

export default config
