// Generates the engine's task list of a service with any number of tasks.

/** Options of {@link generatedTasks}. */
export interface GeneratedTasksOptions {
  /** A label of each task's container. */
  readonly label?: readonly [name: string, value: string]
}

const TIME = '2026-11-24T14:30:22.987654321Z'
const PLATFORMS = ['amd64', 'arm64'].map((Architecture) => ({ Architecture, OS: 'linux' }))
const NETWORK = {
  ID: 'nk7x8avrumf1m1wimxlcb6ba2',
  Version: { Index: 22 },
  CreatedAt: TIME,
  UpdatedAt: TIME,
  Spec: {
    ...{ Name: 'shop_default', Labels: { 'com.docker.stack.namespace': 'shop' } },
    ...{ DriverConfiguration: { Name: 'overlay' }, Scope: 'swarm' },
    IPAMOptions: { Driver: { Name: 'default' } },
  },
  DriverState: {
    Name: 'overlay',
    Options: { 'com.docker.network.driver.overlay.vxlanid_list': '4097' },
  },
  IPAMOptions: {
    Driver: { Name: 'default' },
    Configs: [{ Subnet: '10.0.1.0/24', Gateway: '10.0.1.1' }],
  },
}

/** The image of all generated tasks. */
export const GENERATED_IMAGE: string = `registry.example.com:5000/shop/web:v1@sha256:${'a'.repeat(64)}`

/**
 * Generates running tasks, one in each slot, about 2 KiB each, in the JSON format of Go.
 *
 * @param count Number of tasks.
 * @param options A label of the containers.
 * @returns The body of `GET /tasks`.
 */
export function generatedTasks(
  count: number,
  { label: [name, value] = ['note', 'a'] }: GeneratedTasksOptions = {},
): string {
  const Labels = { 'com.docker.stack.namespace': 'shop', [name]: value }
  const tasks = Array.from({ length: count }, (_, index) => ({
    ...{ ID: `task${index}`.padEnd(25, 'a'), Version: { Index: 1000 + index } },
    ...{ CreatedAt: TIME, UpdatedAt: TIME, Labels: {} },
    Spec: {
      ContainerSpec: {
        ...{ Image: GENERATED_IMAGE, Labels, Isolation: 'default' },
        Env: ['A=1', 'DATABASE=postgres://db/shop', `PATH=${'/usr/local/bin:'.repeat(6)}`],
        Privileges: { CredentialSpec: null, SELinuxContext: null },
        Mounts: [{ Type: 'volume', Source: 'data', Target: '/data' }],
      },
      Resources: { Limits: { NanoCPUs: 1_000_000_000, MemoryBytes: 536_870_912 } },
      RestartPolicy: { Condition: 'any', Delay: 5_000_000_000, MaxAttempts: 0 },
      Placement: { Platforms: PLATFORMS },
      Networks: [{ Target: NETWORK.ID, Aliases: ['web'] }],
      ForceUpdate: 0,
    },
    ...{ ServiceID: 's'.repeat(25), Slot: index + 1, DesiredState: 'running' },
    NodeID: `node${index % 50}`.padEnd(25, 'b'),
    Status: {
      ...{ Timestamp: TIME, State: 'running', Message: 'started', PortStatus: {} },
      ContainerStatus: { ContainerID: 'c'.repeat(64), PID: 1234 + index, ExitCode: 0 },
    },
    NetworksAttachments: [{ Network: NETWORK, Addresses: ['10.0.1.3/24'] }],
  }))
  return `${JSON.stringify(tasks).replaceAll('\u2028', '\\u2028')}\n`
}
