import type { ViteUserConfig } from 'vitest/config'

const source = (path: string): string => new URL(path, import.meta.url).pathname

const config: ViteUserConfig = {
  test: {
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
          testTimeout: 60_000,
          maxConcurrency: 16,
        },
      },
      {
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          globalSetup: ['test/lab/global-setup.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
}

export default config
