import { randomBytes } from 'node:crypto'
import { chmod, mkdir, rm, stat } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { guacdDoor, guacdDoorsDir, type Layout } from '../../domain/layout.js'

/**
 * A unix socket for one connection of guacd's to one screen. guacd, which may be another user in another container, needs
 * no right on QEMU's own folders and sees no other socket: it is told a path whose name can't be guessed, in a folder
 * that may be entered and not listed. In Compose this folder, `run/guacd`, is the volume that both containers share at
 * the same path; no common group is needed, and guacd's user (1000) need not be the backend's.
 */
export interface VncDoor {
  readonly path: string
  /** Resolves with the first that comes in; the door is shut behind it. Undefined when none did in time, or it was shut. */
  readonly visitor: Promise<Socket | undefined>
  shut(): void
}

const PATIENCE_MS = 10_000
const ENTER = 0o011

/** Makes the folder, with what an earlier backend left in it gone. The folders above must let guacd pass. */
export async function prepareDoors(layout: Layout): Promise<void> {
  const folder = guacdDoorsDir(layout)
  await mkdir(folder, { recursive: true, mode: 0o711 })
  await letPass(folder)
  await letPass(layout.run)
}

async function letPass(folder: string): Promise<void> {
  const { mode } = await stat(folder)
  if ((mode & ENTER) !== ENTER) await chmod(folder, (mode & 0o7777) | ENTER)
}

export async function openDoor(layout: Layout, patienceMs = PATIENCE_MS): Promise<VncDoor> {
  const path = guacdDoor(layout, randomBytes(12).toString('base64url'))
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  let shut = (): void => undefined
  const visitor = new Promise<Socket | undefined>((resolve) => {
    const end = (socket?: Socket) => {
      clearTimeout(timer)
      server.close()
      void rm(path, { force: true })
      resolve(socket)
    }
    const timer = setTimeout(end, patienceMs)
    server.once('connection', (socket) => end(socket))
    server.on('connection', (socket) => void visitor.then((first) => first !== socket && socket.destroy()))
    shut = () => end()
  })
  await chmod(path, 0o666)
  return { path, visitor, shut: () => shut() }
}
