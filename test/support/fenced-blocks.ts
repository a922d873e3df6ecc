// The code blocks of a document, so that what is documented is what is tested.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A fenced block of a Markdown document. */
export interface FencedBlock {
  /** What stands after the fence: `sh`, `yaml`. */
  readonly language: string
  /** The heading that it stands under, without its signs. */
  readonly heading: string
  readonly code: string
}

const ROOT = join(import.meta.dirname, '../..')
const HEADING_OR_BLOCK = /^#+ (.*)$|^```(\w+)\n([\s\S]*?)^```$/gm

/**
 * Reads the code blocks of a document.
 *
 * @param file Its path, from the root of the project.
 * @returns Its blocks, in order.
 */
export function fencedBlocks(file: string): readonly FencedBlock[] {
  const blocks: FencedBlock[] = []
  let under = ''
  const text = readFileSync(join(ROOT, file), 'utf8')
  for (const [, heading, language, code = ''] of text.matchAll(HEADING_OR_BLOCK)) {
    if (heading !== undefined) under = heading
    if (language !== undefined) blocks.push({ language, heading: under, code })
  }
  return blocks
}

/**
 * Finds the code of one block.
 *
 * @param blocks The blocks of a document.
 * @param heading The heading that it stands under.
 * @param language Its language.
 * @param nth Which of those, from 0; the first unless told.
 * @returns Its code.
 */
export function codeUnder(
  blocks: readonly FencedBlock[],
  heading: string,
  { language, nth = 0 }: { readonly language: string; readonly nth?: number },
): string {
  const found = blocks.filter((block) => block.heading === heading && block.language === language)
  const code = found[nth]?.code
  if (code === undefined) throw new Error(`No ${language} block number ${nth} under "${heading}"`)
  return code
}
