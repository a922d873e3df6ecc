// Where the history of a service is kept.

/**
 * - `config`: in the store. The label on the service holds the newest deployment and its predecessor.
 * - `label`: in the label on the service alone, with the newest eight deployments.
 * - `off`: nowhere. The label holds what it holds with `config`.
 */
export type HistoryMode = 'config' | 'label' | 'off'

/** Every {@link HistoryMode}. */
export const historyModes: readonly HistoryMode[] = ['config', 'label', 'off']
