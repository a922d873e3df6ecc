// The part of dockerode that Deployer uses; @types/dockerode does not declare its single files.

declare module 'dockerode/lib/service.js' {
  import type { Modem } from './modem.ts'

  export default class Service {
    constructor(modem: Modem, nameOrId: string)
    inspect(): Promise<unknown>
    /**
     * `_query` is sent in the URL and `_body` in the body; without them, all options are sent in
     * the URL. `authconfig` is passed to the modem unchanged.
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
