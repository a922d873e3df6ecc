// What the engine's answers must look like: whoever else answers at its address must not pass for it.

import type { Node, Task } from '../../swarm/engine-types.ts'
import type { Service } from '../../swarm/service.ts'

/** The parts of the engine's `GET /info` that Deployer looks at. */
export interface EngineInfo {
  readonly ServerVersion?: string
  readonly Swarm?: { readonly LocalNodeState?: string; readonly ControlAvailable?: boolean }
}

type Members<T> = { readonly [Member in keyof T]?: unknown }

/**
 * Whether an answer may tell how an engine is.
 *
 * @param answer The parsed answer.
 * @returns True when it is an object: all of its members may be absent.
 */
export function isEngineInfo(answer: unknown): answer is EngineInfo {
  return isObject(answer)
}

/**
 * Whether an answer is a service.
 *
 * @param answer The parsed answer.
 * @returns True when all is there that Deployer cannot do without.
 */
export function isService(answer: unknown): answer is Service {
  const { ID, Version, Spec } = membersOf<Service>(answer)
  const { Name, TaskTemplate } = membersOf<Service['Spec']>(Spec)
  return (
    typeof ID === 'string' &&
    typeof membersOf<Service['Version']>(Version).Index === 'number' &&
    typeof Name === 'string' &&
    isObject(TaskTemplate)
  )
}

/**
 * Whether an answer is a list of services.
 *
 * @param answer The parsed answer.
 * @returns True when it is.
 */
export function isServiceList(answer: unknown): answer is readonly Service[] {
  return Array.isArray(answer) && answer.every(isService)
}

/**
 * Whether an answer is a list of tasks.
 *
 * @param answer The parsed answer.
 * @returns True when it is.
 */
export function isTaskList(answer: unknown): answer is readonly Task[] {
  return Array.isArray(answer) && answer.every(isTask)
}

/**
 * Whether an answer is a list of nodes.
 *
 * @param answer The parsed answer.
 * @returns True when it is.
 */
export function isNodeList(answer: unknown): answer is readonly Node[] {
  return Array.isArray(answer) && answer.every((node) => isText(membersOf<Node>(node).ID))
}

function isTask(task: unknown): boolean {
  const { ID, CreatedAt, UpdatedAt, Spec, Status, DesiredState } = membersOf<Task>(task)
  return (
    [ID, CreatedAt, UpdatedAt, DesiredState].every(isText) &&
    isObject(Spec) &&
    isText(membersOf<Task['Status']>(Status).State)
  )
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function membersOf<T>(value: unknown): Members<T> {
  return isObject(value) ? value : {}
}
