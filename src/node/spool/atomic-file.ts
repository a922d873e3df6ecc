// A file that is either whole or as it was before.

import { randomBytes } from 'node:crypto'
import { constants, open, rename, unlink } from 'node:fs/promises'

// Windows has no O_NOFOLLOW.
const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW = 0 } = constants

/**
 * Creates a file, and writes and syncs it.
 *
 * @param path The file.
 * @param content What it is to hold.
 * @param mode The rights to it.
 * @throws The error of the system call that failed: `EEXIST` when anything has that name, also a
 *   link that leads nowhere. What was written so far stays.
 */
export async function createFile(path: string, content: string, mode: number): Promise<void> {
  const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Writes a file, syncs it, and puts it in the place of the one that was there; a link there is
 * replaced, and not followed. The directory is not synced. (write-file-atomic takes a temporary name
 * that can be predicted, follows a link of that name, and stops short when the disk gets full.)
 *
 * @param path The file. While it is written it has another name: this one, a dot and 16 hexadecimal
 *   digits.
 * @param content What it is to hold.
 * @param mode The rights to it.
 */
export async function writeWhole(path: string, content: string, mode: number): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}`
  try {
    await createFile(temporary, content, mode)
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}
