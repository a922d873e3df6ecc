// The part of dockerode that Deployer uses; @types/dockerode does not know the files inside.

declare module 'dockerode/lib/service.js' {
  import type { Modem } from './modem.ts'

  export default class Service {
    constructor(modem: Modem, nameOrId: string)
    inspect(): Promise<unknown>
    /**
     * `_query` goes into the URL and `_body` into the body; without them all goes into the URL.
     * `authconfig` goes to the modem as it is.
     */
    update(
      authconfig: string | undefined,
      options: {
        readonly _query: Readonly<Record<string, string>>
        readonly _body: unknown
      },
    ): Promise<unknown>
  }
}
