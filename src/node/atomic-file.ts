// A file that is either whole or as it was before.

import { open } from 'node:fs/promises'

/**
 * Writes a file, syncs it, and puts it in the place of the one that was there. It is
 * write-file-atomic, but for its one call of write(2), which stops short when the disk gets full.
 *
 * @param path The file. While it is written it has another name: this one, a dot and up to ten
 *   digits.
 * @param content What it is to hold.
 * @param mode The rights to it.
 */
export async function writeWhole(path: string, content: string, mode: number): Promise<void> {
  // It takes 2 MiB of memory, which whoever has no spool does without.
  const { default: writeFileAtomic } = await import('write-file-atomic')
  await writeFileAtomic(path, '', {
    mode,
    // It is awaited, and what it wrote is synced and renamed.
    tmpfileCreated: (temporary) => fill(temporary, content),
  })
}

async function fill(path: string, content: string): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    await handle.writeFile(content)
  } finally {
    await handle.close()
  }
}
