import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { imageIdSchema } from '../domain/ids.js'
import type { Recipe } from '../domain/image.js'
import type { OperationPlan } from '../domain/plan.js'
import type { OperationHandle } from '../transactions/operations.js'
import type { Procedure } from '../transactions/procedure.js'
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
import type { ImageActor, ImagesContext, StartedImage } from './context.js'
import type { ImageAbout } from './image-record.js'
import { aroundMaking, importSteps, makingSchema, refuseTaken, resourcesOf, stagingStep } from './import-steps.js'
import { planMaking, startMaking } from './making.js'
import { portionOf } from './progress.js'
import { LOGIN_NOTES, STARTER_RECIPES, type StarterRecipe } from './recipes.js'
import { makeWorkFolder } from './staging.js'

export const RECIPES: Recipe[] = STARTER_RECIPES.map(({ id, title, description, buildSeconds }) => ({
  id,
  title,
  description,
  buildSeconds,
}))

const intentSchema = makingSchema.extend({ recipeId: z.string() })
type BuildIntent = z.infer<typeof intentSchema>

/**
 * A login on the screen and on the serial line; the last console is where the kernel's own messages go. Names of network
 * cards stay eth0, eth1, whatever slot they have. The kernel's ciphers do not test themselves at each start, which is a
 * fifth of a second or two without KVM.
 */
const COMMAND_LINE = 'console=tty1 console=ttyS0 quiet net.ifnames=0 cryptomgr.notests'

/** Builds in its folder, then the steps of every import. */
export function buildProcedure(context: ImagesContext): Procedure<BuildIntent> {
  let built: BuiltDisk | undefined
  const { steps, commit, after } = importSteps<BuildIntent>(context, {
    given({ recipeId }) {
      if (!built) throw new Error(`${recipeId} is imported before it is built`)
      return built
    },
    discard: async () => undefined,
    share: [0.85, 1],
  })
  return {
    kind: 'image.build',
    intent: intentSchema,
    resources: resourcesOf,
    around: (intent, work) => aroundMaking(context, intent, work),
    steps: [
      stagingStep(context),
      {
        title: 'Fetching the package lists',
        async do({ recipeId, folder }, op) {
          try {
            built = await build(recipeOf(recipeId), await makeWorkFolder(context.layout, folder), op)
          } catch (error) {
            throw buildFailure(`build ${recipeId}`, error)
          }
        },
      },
      ...steps,
    ],
    commit,
    after,
  }
}

/**
 * Builds a starter image from Debian packages on this machine, in `images/.staging`, and hands it to the import room.
 * Nothing on this machine is installed, mounted or changed otherwise, and nothing is left when it fails.
 *
 * Throws `not_found`, `image_exists`, `key_reused`; the operation fails with `busy`, `missing_tool`, `unsupported`,
 * `download_failed`, `no_space`, `cancelled`, `build_failed`, and what an import throws.
 */
export function buildImage(context: ImagesContext, recipeId: string, actor: ImageActor): Promise<StartedImage> {
  const { title } = recipeOf(recipeId)
  return startMaking(context, buildProcedure(context), actor, `Build ${title}`, () => intentOf(context, recipeId))
}

/** What a build would take. Throws `not_found`. */
export async function planBuild(context: ImagesContext, recipeId: string): Promise<OperationPlan> {
  const { title, id, base } = recipeOf(recipeId)
  return planMaking(context, () => intentOf(context, recipeId), {
    kind: 'image.build',
    title: `Build ${title}`,
    imageId: id,
    steps: [
      'Fetch the Debian packages',
      `Make the system${base === 'debian' ? ' with mmdebstrap' : ''}`,
      'Make its disk',
      'Convert it to a clean copy',
      'Publish it, read-only, with its checksum',
    ],
  })
}

async function intentOf(context: ImagesContext, recipeId: string): Promise<BuildIntent> {
  const { id, workBytes } = recipeOf(recipeId)
  refuseTaken(context.store.data, id)
  return {
    imageId: imageIdSchema.parse(id),
    folder: randomUUID(),
    consumes: null,
    spaceBytes: workBytes,
    recipeId,
  }
}

function recipeOf(id: string): StarterRecipe {
  const recipe = STARTER_RECIPES.find((one) => one.id === id)
  if (!recipe) throw new SandlabError('not_found', `There is no recipe ${id}.`)
  return recipe
}

interface BuiltDisk {
  path: string
  about: ImageAbout
}

async function build(recipe: StarterRecipe, folder: string, op: OperationHandle): Promise<BuiltDisk> {
  op.step('Fetching the package lists', 0)
  const mode = await requireRights(recipe, op.signal)
  const source = await openPackageSource(folder, op.signal)
  await updatePackageLists(source)
  op.step('Fetching the kernel', 0.03)
  const { kernel, version } = await fetchKernel(source)
  op.step('Packing the initial RAM disk', 0.08)
  const initrd = await packInitrd(kernel)
  const archive = await makeTree(op, recipe, kernel, source, mode)
  op.step('Making the disk', 0.8)
  const path = await makeDisk(folder, archive, recipe.diskBytes, op.signal)
  const about: ImageAbout = {
    id: recipe.id,
    title: recipe.title,
    description: recipe.description,
    origin: 'built',
    version,
    firmware: 'bios',
    cloudInit: true,
    guestAgent: recipe.guestAgent,
    sshServer: recipe.sshServer,
    loginNotes: LOGIN_NOTES,
    minimumMemoryMib: recipe.minimumMemoryMib,
    directBoot: { kernelPath: kernelFile(kernel), initrdPath: initrd, commandLine: COMMAND_LINE },
    trusted: true,
  }
  return { path, about }
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
  op: OperationHandle,
  recipe: StarterRecipe,
  kernel: KernelTree,
  source: PackageSource,
  mode: ChrootMode | null,
): Promise<string> {
  if (mode !== null) return makeDebianTree({ recipe, kernel, source, mode, op: portionOf(op, 0.1, 0.8) })
  op.step('Making the system', 0.2)
  return makeTinyTree(recipe, kernel, source)
}
