import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bus } from '../events/bus.js'
import { SandlabError } from '../domain/error.js'
import type { Image, Recipe } from '../domain/image.js'
import type { Layout } from '../domain/layout.js'
import type { Store } from '../state/store.js'
import { requireSpace } from '../storage/space.js'
import type { Logger } from '../system/log.js'
import type { OperationHandle } from '../transactions/operations.js'
import { makeDebianTree } from './build-debian.js'
import { makeDisk } from './build-disk.js'
import { buildFailure } from './build-failure.js'
import { kernelFile, packInitrd, type KernelTree } from './build-initrd.js'
import {
  findKernel,
  openPackageSource,
  unpackPackages,
  updatePackageLists,
  type PackageSource,
} from './build-packages.js'
import { chooseChrootMode, requireTools, type ChrootMode } from './build-rights.js'
import { makeTinyTree } from './build-tiny.js'
import { importImage } from './import-room.js'
import { portionOf } from './progress.js'
import { LOGIN_NOTES, STARTER_RECIPES, type StarterRecipe } from './recipes.js'
import { newStagingFolder } from './staging.js'

export const RECIPES: Recipe[] = STARTER_RECIPES.map(({ id, title, description, buildSeconds }) => ({
  id,
  title,
  description,
  buildSeconds,
}))

export interface BuildRequest {
  layout: Layout
  store: Store
  log: Logger
  recipeId: string
  op: OperationHandle
  bus?: Bus
}

/**
 * A login on the screen and on the serial line; the last console is where the kernel's own messages go. Names of network
 * cards stay eth0, eth1, whatever slot they have.
 */
const COMMAND_LINE = 'console=tty1 console=ttyS0 quiet net.ifnames=0'

/**
 * Builds a starter image from Debian packages on this machine, in `images/.staging`, and hands it to the import room.
 * Nothing on this machine is installed, mounted or changed otherwise, and nothing is left when it fails.
 *
 * Throws `not_found`, `image_exists`, `busy`, `missing_tool`, `unsupported`, `download_failed`, `no_space`, `cancelled`,
 * `build_failed`, and what importImage throws.
 */
export async function buildImage(request: BuildRequest): Promise<Image> {
  const { layout, store } = request
  const recipe = STARTER_RECIPES.find((one) => one.id === request.recipeId)
  if (!recipe) throw new SandlabError('not_found', `There is no recipe ${request.recipeId}.`)
  if (store.data.images.some((image) => image.id === recipe.id)) {
    throw new SandlabError('image_exists', `The image ${recipe.id} is there already.`, {
      hint: 'Delete it first to build it anew.',
    })
  }
  const release = claim(layout, recipe.id)
  try {
    return await buildInStaging(request, recipe)
  } finally {
    release()
  }
}

/** Builds of this process, by folder and recipe: a second one of the same would work for a minute and then lose. */
const underWay = new Set<string>()

function claim(layout: Layout, id: string): () => void {
  const key = join(layout.images, id)
  if (underWay.has(key)) throw new SandlabError('busy', `The image ${id} is being built already.`)
  underWay.add(key)
  return () => underWay.delete(key)
}

async function buildInStaging(request: BuildRequest, recipe: StarterRecipe): Promise<Image> {
  const folder = await newStagingFolder(request.layout, request.op.id)
  try {
    await requireSpace({ path: folder, bytes: recipe.workBytes, what: `build ${recipe.id}` })
    return await build(request, recipe, folder)
  } catch (error) {
    throw buildFailure(`build ${recipe.id}`, error)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function build(request: BuildRequest, recipe: StarterRecipe, folder: string): Promise<Image> {
  const { op } = request
  op.step('Fetching the package lists', 0)
  const mode = await requireRights(recipe, op.signal)
  const source = await openPackageSource(folder, op.signal)
  await updatePackageLists(source)
  op.step('Fetching the kernel', 0.03)
  const { kernel, version } = await fetchKernel(source)
  op.step('Packing the initial RAM disk', 0.08)
  const initrd = await packInitrd(kernel)
  const archive = await makeTree(request, recipe, kernel, source, mode)
  op.step('Making the disk', 0.8)
  const disk = await makeDisk(folder, archive, recipe.diskBytes, op.signal)
  return importImage({
    ...request,
    op: portionOf(op, 0.85, 1),
    source: { path: disk, consume: true },
    about: {
      id: recipe.id,
      title: recipe.title,
      description: recipe.description,
      origin: 'built',
      version,
      firmware: 'bios',
      cloudInit: true,
      loginNotes: LOGIN_NOTES,
      minimumMemoryMib: recipe.minimumMemoryMib,
      directBoot: { kernelPath: kernelFile(kernel), initrdPath: initrd, commandLine: COMMAND_LINE },
      trusted: true,
    },
  })
}

/** Before anything is fetched: the programs, and for a Debian tree the way to be root in it. */
async function requireRights(recipe: StarterRecipe, signal: AbortSignal): Promise<ChrootMode | null> {
  const isDebian = recipe.base === 'debian'
  await requireTools(isDebian)
  return isDebian ? chooseChrootMode(recipe.id, signal) : null
}

async function fetchKernel(source: PackageSource): Promise<{ kernel: KernelTree; version: string }> {
  const { folder, signal } = source
  const found = await findKernel(source)
  const kernel = {
    folder,
    tree: join(folder, 'kernel'),
    busybox: join(folder, 'kernel'),
    release: found.release,
    signal,
  }
  await unpackPackages(source, [found.name, 'busybox-static'], kernel.tree)
  return { kernel, version: `kernel ${found.version}` }
}

function makeTree(
  { op }: BuildRequest,
  recipe: StarterRecipe,
  kernel: KernelTree,
  source: PackageSource,
  mode: ChrootMode | null,
): Promise<string> {
  if (mode !== null) return makeDebianTree({ recipe, kernel, source, mode, op: portionOf(op, 0.1, 0.8) })
  op.step('Making the system', 0.2)
  return makeTinyTree(recipe, kernel, source)
}
