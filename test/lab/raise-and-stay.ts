// Starts a lab with a service, prints its directory and runs until it is killed, for lab.test.ts.

import { raiseLab } from './lab.ts'

const lab = await raiseLab()
const image = lab.image('lab/app:v1')
const service = await lab.createService({ image })
await lab.waitRunning(service.name, image)
console.log(lab.directory)
setInterval(() => {}, 60_000)
