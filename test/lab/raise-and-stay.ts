// A process that raises a lab with a service in it, says so and stays: made to be killed.

import { raiseLab } from './lab.ts'

const lab = await raiseLab()
const image = lab.image('lab/app:v1')
const service = await lab.createService({ image })
await lab.waitRunning(service.name, image)
console.log(lab.directory)
setInterval(() => {}, 60_000)
