// Atomic writes: a file has either its new content or its old one.

import { randomBytes } from 'node:crypto'
import { constants, open, rename, unlink } from 'node:fs/promises'

// Windows has no O_NOFOLLOW.
const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW = 0 } = constants

/**
 * Creates a file, and writes and syncs it.
 *
 * @param path The file.
 * @param content The content.
 * @param mode The permissions.
 * @throws The error of the system call that failed: `EEXIST` if the name exists, even as a dangling link.
 *   A partly written file is not removed.
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
 * Writes a file under a temporary name, syncs it, and renames it. A link is replaced, not followed. The
 * directory is not synced. (The package write-file-atomic uses a predictable temporary name, follows a
 * link of that name, and leaves a truncated file when the disk is full.)
 *
 * @param path The file. The temporary name is this one, a dot and 16 hexadecimal digits.
 * @param content The content.
 * @param mode The permissions.
 */
export async function writeAtomically(path: string, content: string, mode: number): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}`
  try {
    await createFile(temporary, content, mode)
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}
