/**
 * Changes to a frozen tree of plain JSON values without copying what stays: the draft looks like the tree and may be
 * changed freely; `next` shares every untouched part with `base`, and is frozen throughout.
 */
export interface Produced<S, T> {
  /** `base` itself when nothing was changed. */
  next: S
  /** What `apply` returned, with drafts in it replaced by what they became. */
  result: T
}

interface Draft {
  base: object
  parent: Draft | undefined
  /** A shallow copy, made at the first visit of a child or the first change; holds drafts of visited children. */
  copy: Record<PropertyKey, unknown> | undefined
  /** Where `copy` may hold what is not final yet. */
  touched: Set<PropertyKey>
  changed: boolean
  proxy: object
  /** `copy` once everything in it is final. */
  final: object | undefined
  /** Closed when the change has been applied: a draft that was kept beyond it must not write into what is committed. */
  change: { open: boolean }
}

/** Ours, never changed again, all the way down. An object that someone else froze may still hold a changeable one. */
const FINAL = new WeakSet()
const DRAFTS = new WeakMap<object, Draft>()

/** Freezes a tree that nobody else holds, such as freshly parsed JSON. */
export function freezeTree<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !FINAL.has(value)) {
    for (const child of Object.values(value)) freezeTree(child)
    FINAL.add(Object.freeze(value))
  }
  return value
}

/**
 * Runs `apply` on a draft of `base`, which must come from `freezeTree` or from here. A throw leaves no trace. The lists
 * directly under `next` are not frozen yet, because the next change of the same commit copies them: see `freezeLists`.
 */
export function produce<S extends object, T>(base: S, apply: (draft: S) => T): Produced<S, T> {
  const change = { open: true }
  const root = draftOf(base, undefined, change)
  try {
    const result = apply(root.proxy as S) // the proxy answers like S
    if (isThenable(result)) throw new TypeError('A change must be synchronous: its draft ends with the call.')
    const next = finalOf(root.proxy) as S // finalOf keeps the shape
    return { next, result: resolveDrafts(result) as T } // as above
  } finally {
    change.open = false
  }
}

/** Freezes what `produce` left open; to be called before anybody else sees the tree. */
export function freezeLists<S extends object>(tree: S): S {
  for (const list of Object.values(tree)) Object.freeze(list)
  return Object.freeze(tree)
}

function draftOf(base: object, parent: Draft | undefined, change: Draft['change']): Draft {
  const touched = new Set<PropertyKey>()
  const draft: Draft = { base, parent, copy: undefined, touched, changed: false, proxy: base, final: undefined, change }
  // The target only says whether this is an array: a frozen target would force the proxy to answer with its values.
  draft.proxy = new Proxy(Array.isArray(base) ? [] : {}, handlerOf(draft))
  DRAFTS.set(draft.proxy, draft)
  return draft
}

const latest = (draft: Draft) => (draft.copy ?? draft.base) as Record<PropertyKey, unknown> // any JSON object is one

function copyOf(draft: Draft): Record<PropertyKey, unknown> {
  draft.copy ??= (Array.isArray(draft.base) ? draft.base.slice() : { ...draft.base }) as Record<PropertyKey, unknown>
  return draft.copy
}

function markChanged(draft: Draft): void {
  if (!draft.change.open) throw new TypeError('A draft was changed after its change was applied.')
  for (let up: Draft | undefined = draft; up && !up.changed; up = up.parent) up.changed = true
}

function childOf(draft: Draft, key: PropertyKey): unknown {
  const value = latest(draft)[key]
  if (typeof value !== 'object' || value === null || !FINAL.has(value)) return value
  const child = draftOf(value, draft, draft.change).proxy
  copyOf(draft)[key] = child
  draft.touched.add(key)
  return child
}

function handlerOf(draft: Draft): ProxyHandler<object> {
  return {
    get(_target, key) {
      const searches = Array.isArray(draft.base) && typeof key === 'string' ? SEARCHES.get(key) : undefined
      if (searches) return searches(draft)
      return Object.hasOwn(latest(draft), key) ? childOf(draft, key) : Reflect.get(latest(draft), key)
    },
    set(_target, key, value) {
      if (Object.hasOwn(latest(draft), key) && Object.is(latest(draft)[key], value)) return true
      markChanged(draft)
      copyOf(draft)[key] = value
      draft.touched.add(key)
      return true
    },
    deleteProperty(_target, key) {
      if (Object.hasOwn(latest(draft), key)) {
        markChanged(draft)
        delete copyOf(draft)[key]
      }
      return true
    },
    has: (_target, key) => key in latest(draft),
    ownKeys: () => Reflect.ownKeys(latest(draft)),
    getOwnPropertyDescriptor(_target, key) {
      if (!Object.hasOwn(latest(draft), key)) return undefined
      const isLength = Array.isArray(draft.base) && key === 'length'
      return { value: childOf(draft, key), writable: true, enumerable: !isLength, configurable: !isLength }
    },
    getPrototypeOf: () => Reflect.getPrototypeOf(draft.base),
    defineProperty: () => false,
    setPrototypeOf: () => false,
  }
}

type Predicate = (value: unknown, index: number, array: unknown) => unknown

/**
 * Searching shows the predicate the frozen elements and makes drafts of what is found only; a draft for each of 1,000
 * nodes would cost more than the write to the disk.
 */
const SEARCHES = new Map<string, (draft: Draft) => unknown>([
  [
    'find',
    (draft) => (predicate: Predicate) => {
      const index = indexIn(draft, predicate)
      return index < 0 ? undefined : childOf(draft, index)
    },
  ],
  ['findIndex', (draft) => (predicate: Predicate) => indexIn(draft, predicate)],
  ['some', (draft) => (predicate: Predicate) => indexIn(draft, predicate) >= 0],
  ['every', (draft) => (predicate: Predicate) => indexIn(draft, (...args) => !predicate(...args)) < 0],
  [
    'filter',
    (draft) => (predicate: Predicate) =>
      elements(draft).flatMap((value, index) => (predicate(value, index, draft.proxy) ? [childOf(draft, index)] : [])),
  ],
])

const elements = (draft: Draft) => latest(draft) as unknown as unknown[] // called for arrays only

function indexIn(draft: Draft, predicate: Predicate): number {
  return elements(draft).findIndex((value, index) => predicate(value, index, draft.proxy))
}

/** The plain value of a draft, or of a new value put into one; what is final already is kept as it is. */
function finalOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint') throw notJson(value)
    return value
  }
  const draft = DRAFTS.get(value)
  if (!draft) return FINAL.has(value) ? value : finalCopy(value)
  if (!draft.changed) return draft.base
  draft.final ??= Array.isArray(draft.copy) ? finishList(draft.copy, draft) : finalCopy(copyOf(draft))
  return draft.final
}

/** In place: the copy is ours, and what was not touched is final. Looking at each of 1,000 elements would be slow. */
function finishList(list: unknown[], draft: Draft): unknown[] {
  for (const key of draft.touched) {
    const index = Number(key) // symbols never get here: a list of JSON values has none
    if (index < list.length) list[index] = finalOf(list[index])
  }
  FINAL.add(list)
  if (draft.parent?.parent !== undefined) Object.freeze(list) // `freezeLists` has those directly under the root
  return list
}

function finalCopy(value: object): object {
  if (!Array.isArray(value) && !isPlain(value)) throw notJson(value)
  const copy = Array.isArray(value) ? value.map(finalOf) : finalEntries(value)
  FINAL.add(Object.freeze(copy))
  return copy
}

/** JSON has no undefined: memory stays what the disk gives back. */
function finalEntries(value: object): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value)) if (item !== undefined) copy[key] = finalOf(item)
  return copy
}

function resolveDrafts(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || FINAL.has(value)) return value
  if (DRAFTS.has(value)) return finalOf(value)
  if (Array.isArray(value)) return value.map(resolveDrafts)
  if (!isPlain(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolveDrafts(item)]))
}

/** Of any realm: Jest runs tests in another one. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

function notJson(value: unknown): TypeError {
  return new TypeError(
    `A change put something into the state that JSON can't hold: ${Object.prototype.toString.call(value)}`,
  )
}
