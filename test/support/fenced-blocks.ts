// Reads the code blocks of a Markdown document, so that tests run the documented examples.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A fenced code block. */
export interface FencedBlock {
  /** The language after the opening fence, such as `sh`. */
  readonly language: string
  /** The text of the nearest heading above. */
  readonly heading: string
  readonly code: string
}

const ROOT = join(import.meta.dirname, '../..')
const HEADING_OR_BLOCK = /^#+ (.*)$|^```(\w+)\n([\s\S]*?)^```$/gm

/**
 * Reads the code blocks of a document.
 *
 * @param file Path relative to the root of the project.
 * @returns The code blocks in order.
 */
export function fencedBlocks(file: string): readonly FencedBlock[] {
  const blocks: FencedBlock[] = []
  let currentHeading = ''
  const text = readFileSync(join(ROOT, file), 'utf8')
  for (const [, heading, language, code = ''] of text.matchAll(HEADING_OR_BLOCK)) {
    if (heading !== undefined) currentHeading = heading
    if (language !== undefined) blocks.push({ language, heading: currentHeading, code })
  }
  return blocks
}

/**
 * Finds the code of one block.
 *
 * @param blocks The code blocks of a document.
 * @param heading The heading above the block.
 * @param options The language, and the index among the blocks that match. Default: 0.
 * @returns The code.
 * @throws Error if there is no such block.
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
