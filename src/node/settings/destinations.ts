// Creates the destinations that the settings describe.

import type { Destination } from '../../notification/destination.ts'
import { createWebhook } from '../../notification/webhook/webhook.ts'
import { createBeanstalkdDestination } from '../beanstalkd/beanstalkd-destination.ts'
import { createEtaRenderer } from '../eta-renderer.ts'
import type { NotifySettings } from './notify-flags.ts'
import { compileUrl } from './notify-webhook.ts'

/**
 * Creates the destinations that the settings describe. Does not connect to them.
 *
 * @param settings The checked settings.
 * @returns The destinations, in the same order.
 */
export function createDestinations(settings: readonly NotifySettings[]): readonly Destination[] {
  return settings.map(createDestination)
}

function createDestination(settings: NotifySettings): Destination {
  switch (settings.type) {
    case 'beanstalkd': {
      const { type, template, ...options } = settings
      return createBeanstalkdDestination({ ...options, renderer: createEtaRenderer(template) })
    }
    case 'webhook': {
      const { type, url, template, ...options } = settings
      return createWebhook({
        ...options,
        url: compileUrl(url),
        ...(template === undefined ? {} : { renderer: createEtaRenderer(template) }),
      })
    }
  }
}
