// Type guards for responses of the engine: those of another server at its address must not be
// accepted.

import type { Node, Task } from '../../swarm/engine-types.ts'
import type { Service } from '../../swarm/service.ts'

/** The part of the engine's `GET /info` that Deployer uses. */
export interface EngineInfo {
  readonly ServerVersion?: string
  readonly Swarm?: { readonly LocalNodeState?: string; readonly ControlAvailable?: boolean }
}

/** The part of a config of the swarm that Deployer uses. */
export interface Config {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly Spec: {
    readonly Name: string
    /** Absent or null means none. */
    readonly Labels?: Readonly<Record<string, string>> | null
  }
}

type Members<T> = { readonly [Member in keyof T]?: unknown }

/**
 * Tests whether a response is the engine's information about itself.
 *
 * @param body The parsed response.
 * @returns True if it is an object: all members may be absent.
 */
export function isEngineInfo(body: unknown): body is EngineInfo {
  return isObject(body)
}

/**
 * Tests whether a response is a service.
 *
 * @param body The parsed response.
 * @returns True if it has all members that Deployer requires.
 */
export function isService(body: unknown): body is Service {
  const { ID, Version, Spec } = membersOf<Service>(body)
  const { Name, TaskTemplate } = membersOf<Service['Spec']>(Spec)
  return (
    typeof ID === 'string' &&
    typeof membersOf<Service['Version']>(Version).Index === 'number' &&
    typeof Name === 'string' &&
    isObject(TaskTemplate)
  )
}

/**
 * Tests whether a response is a list of services.
 *
 * @param body The parsed response.
 * @returns True if each element has all members that Deployer requires.
 */
export function isServiceList(body: unknown): body is readonly Service[] {
  return Array.isArray(body) && body.every(isService)
}

/**
 * Tests whether a response is a list of tasks.
 *
 * @param body The parsed response.
 * @returns True if each element has all members that Deployer requires.
 */
export function isTaskList(body: unknown): body is readonly Task[] {
  return Array.isArray(body) && body.every(isTask)
}

/**
 * Tests whether a response is a list of nodes.
 *
 * @param body The parsed response.
 * @returns True if each element has all members that Deployer requires.
 */
export function isNodeList(body: unknown): body is readonly Node[] {
  return Array.isArray(body) && body.every((node) => isString(membersOf<Node>(node).ID))
}

/**
 * Tests whether a response is a config.
 *
 * @param body The parsed response.
 * @returns True if it has all members that Deployer requires.
 */
export function isConfig(body: unknown): body is Config {
  const { ID, Version, Spec } = membersOf<Config>(body)
  const { Name, Labels } = membersOf<Config['Spec']>(Spec)
  return (
    [ID, Name].every(isString) &&
    typeof membersOf<Config['Version']>(Version).Index === 'number' &&
    Object.values(membersOf<Record<string, unknown>>(Labels)).every(isString)
  )
}

/**
 * Tests whether a response is a list of configs.
 *
 * @param body The parsed response.
 * @returns True if each element has all members that Deployer requires.
 */
export function isConfigList(body: unknown): body is readonly Config[] {
  return Array.isArray(body) && body.every(isConfig)
}

function isTask(task: unknown): boolean {
  const { ID, CreatedAt, UpdatedAt, Spec, Status, DesiredState } = membersOf<Task>(task)
  return (
    [ID, CreatedAt, UpdatedAt, DesiredState].every(isString) &&
    isObject(Spec) &&
    isString(membersOf<Task['Status']>(Status).State)
  )
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function membersOf<T>(value: unknown): Members<T> {
  return isObject(value) ? value : {}
}
