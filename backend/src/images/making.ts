import { isSandlabError, type SandlabError } from '../domain/error.js'
import type { OperationPlan } from '../domain/plan.js'
import { measureSpace, noSpace } from '../storage/space.js'
import type { Procedure } from '../transactions/procedure.js'
import type { ImageActor, ImagesContext, StartedImage } from './context.js'
import { refuseClaimed, type Making } from './import-steps.js'

/**
 * Starts a procedure that makes an image, unless the same request came before: then its operation is the answer. `intent`
 * says what is refused before anything begins.
 */
export async function startMaking<I extends Making>(
  context: ImagesContext,
  procedure: Procedure<I>,
  actor: ImageActor,
  title: string,
  intentOf: () => Promise<I>,
): Promise<StartedImage> {
  const earlier = context.transactions.earlier(actor)
  if (earlier) return answerOf(context, earlier)
  const intent = await intentOf()
  const beside = context.transactions.earlier(actor) // of a request that came at the same time
  if (beside) return answerOf(context, beside)
  refuseClaimed(context.layout, intent.imageId)
  return answerOf(
    context,
    context.transactions.run(procedure, intent, {
      title,
      actor,
      target: { type: 'image', id: intent.imageId },
      cancellable: true,
      request: actor.request ?? null,
    }),
  )
}

function answerOf(
  { store }: ImagesContext,
  { operation, result }: Omit<StartedImage, 'result'> & { result: Promise<void> },
) {
  const made = result.then(() => {
    const image = store.data.images.find(({ id }) => id === operation.target?.id)
    if (!image) throw new Error(`the image ${operation.target?.id} was made and is gone already`)
    return image
  })
  made.catch(() => undefined) // the operation itself carries the failure
  return { operation, result: made }
}

/** What making an image would take. Nothing is changed, nothing is downloaded. */
export async function planMaking(
  { layout }: ImagesContext,
  intentOf: () => Promise<Making>,
  about: { kind: OperationPlan['kind']; title: string; imageId: string; steps: string[] },
): Promise<OperationPlan> {
  const { intent, refusal } = await intentOf().then(
    (intent) => ({ intent, refusal: null }),
    (error: unknown) => {
      if (!isSandlabError(error)) throw error
      return { intent: null, refusal: error }
    },
  )
  const space = intent ? await measureSpace([{ path: layout.images, bytes: intent.spaceBytes }]) : []
  const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
  return {
    kind: about.kind,
    title: about.title,
    steps: about.steps,
    space,
    creates: [{ type: 'image', name: about.imageId }],
    replaces: [],
    files: [],
    warnings: [],
    refusal: refusalOf(refusal ?? (short ? noSpace(short, `make the image ${about.imageId}`) : null)),
  }
}

export function refusalOf(error: SandlabError | null): OperationPlan['refusal'] {
  if (!error) return null
  const { code, message, hint } = error
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}
