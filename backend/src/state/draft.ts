/**
 * Changes to a frozen tree of plain JSON values without copying what stays: the draft looks like the tree and may be
 * changed freely; `next` shares every untouched part with `base`, and is frozen throughout.
 *
 * No WeakMap and no WeakSet: with thousands of short-lived keys the garbage collector took longer than the work.
 */
export interface Produced<S, T> {
  /** `base` itself when nothing was changed. */
  next: S
  /** What `apply` returned, with drafts in it replaced by what they became. */
  result: T
}

type Plain = Record<PropertyKey, unknown>

interface Draft {
  base: Plain
  /** `base` never changes again, all the way down: it was in the tree before. */
  isFinal: boolean
  isList: boolean
  parent: Draft | undefined
  /** A shallow copy, made at the first visit of a child or the first change; holds drafts of visited children. */
  copy: Plain | undefined
  /** Of a list: where `copy` may hold what is not final yet. */
  touched: PropertyKey[]
  changed: boolean
  proxy: object
  /** `copy` once everything in it is final. */
  final: object | undefined
  /** Closed when the change has been applied: a draft that was kept beyond it must not write into what is committed. */
  change: { open: boolean }
}

/** Answered by drafts only, with themselves. */
const DRAFT = Symbol('draft')

/** Freezes a tree that nobody else holds, such as freshly parsed JSON. */
export function freezeTree<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const child of Object.values(value)) freezeTree(child)
  return Object.freeze(value)
}

/**
 * Runs `apply` on a draft of `base`, which must come from `freezeTree` or from here. A throw leaves no trace. The lists
 * directly under `next` are not frozen yet, because the next change of the same commit copies them: see `freezeLists`.
 */
export function produce<S extends object, T>(base: S, apply: (draft: S) => T): Produced<S, T> {
  const change = { open: true }
  const root = newDraft(base as Plain, true, undefined, change) // any JSON object is one
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

function newDraft(base: Plain, isFinal: boolean, parent: Draft | undefined, change: Draft['change']): Draft {
  const isList = Array.isArray(base)
  // The target says whether this is a list, and whose it is: a frozen target would force its own values on the proxy.
  const target = isList ? Object.assign([], { [DRAFT]: undefined }) : { [DRAFT]: undefined }
  const proxy = new Proxy(target, HANDLER)
  const draft: Draft = {
    base,
    isFinal,
    isList,
    parent,
    copy: undefined,
    touched: [],
    changed: false,
    proxy,
    final: undefined,
    change,
  }
  Object.assign(target, { [DRAFT]: draft })
  return draft
}

/** The draft behind a proxy, or behind a proxy's target. */
function draftBehind(value: object): Draft {
  return (value as { [DRAFT]: Draft })[DRAFT] // every target has one
}

const latest = (draft: Draft) => draft.copy ?? draft.base

function copyOf(draft: Draft): Plain {
  draft.copy ??= (draft.isList ? (draft.base as unknown as unknown[]).slice() : { ...draft.base }) as Plain
  return draft.copy
}

function markChanged(draft: Draft): void {
  if (!draft.change.open) throw new TypeError('A draft was changed after its change was applied.')
  for (let up: Draft | undefined = draft; up && !up.changed; up = up.parent) up.changed = true
}

/** A final child becomes a draft when it is visited; a new value is the change's own and is given out as it is. */
function childOf(draft: Draft, key: PropertyKey): unknown {
  const value = latest(draft)[key]
  if (typeof value !== 'object' || value === null) return value
  const wasThere = value === draft.base[key]
  if (!wasThere && !Object.isFrozen(value)) return value
  const child = newDraft(value as Plain, wasThere && draft.isFinal, draft, draft.change).proxy
  copyOf(draft)[key] = child
  draft.touched.push(key)
  return child
}

const HANDLER: ProxyHandler<object> = {
  get(target, key) {
    const draft = draftBehind(target)
    if (key === DRAFT) return draft
    const searches = draft.isList && typeof key === 'string' ? SEARCHES.get(key) : undefined
    if (searches) return searches(draft)
    return Object.hasOwn(latest(draft), key) ? childOf(draft, key) : Reflect.get(latest(draft), key)
  },
  set(target, key, value) {
    const draft = draftBehind(target)
    if (Object.hasOwn(latest(draft), key) && Object.is(latest(draft)[key], value)) return true
    markChanged(draft)
    copyOf(draft)[key] = value
    draft.touched.push(key)
    return true
  },
  deleteProperty(target, key) {
    const draft = draftBehind(target)
    if (!Object.hasOwn(latest(draft), key)) return true
    markChanged(draft)
    return Reflect.deleteProperty(copyOf(draft), key)
  },
  has: (target, key) => key in latest(draftBehind(target)),
  ownKeys: (target) => Reflect.ownKeys(latest(draftBehind(target))),
  getOwnPropertyDescriptor(target, key) {
    const draft = draftBehind(target)
    if (!Object.hasOwn(latest(draft), key)) return undefined
    const isLength = draft.isList && key === 'length'
    return { value: childOf(draft, key), writable: true, enumerable: !isLength, configurable: !isLength }
  },
  getPrototypeOf: (target) => Reflect.getPrototypeOf(draftBehind(target).base),
  defineProperty: () => false,
  setPrototypeOf: () => false,
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
  [
    'findLastIndex',
    (draft) => (predicate: Predicate) =>
      elements(draft).findLastIndex((value, index) => predicate(value, index, draft.proxy)),
  ],
  ['some', (draft) => (predicate: Predicate) => indexIn(draft, predicate) >= 0],
  ['every', (draft) => (predicate: Predicate) => indexIn(draft, (...args) => !predicate(...args)) < 0],
  [
    'filter',
    (draft) => (predicate: Predicate) =>
      elements(draft).flatMap((value, index) => (predicate(value, index, draft.proxy) ? [childOf(draft, index)] : [])),
  ],
])

const elements = (draft: Draft) => latest(draft) as unknown as unknown[] // called for lists only

/** A loop: among 10,000 it takes half the time of `findIndex` with a closure. */
function indexIn(draft: Draft, predicate: Predicate): number {
  const all = elements(draft)
  for (let index = 0; index < all.length; index += 1) if (predicate(all[index], index, draft.proxy)) return index
  return -1
}

/** The plain, frozen value of a draft, or of a new value put into one; what is final already is kept as it is. */
function finalOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint') throw notJson(value)
    return value
  }
  const draft: Draft | undefined = draftBehind(value)
  if (!draft) return isFrozenTree(value) ? value : finalCopy(value, undefined)
  if (!draft.changed) return draft.isFinal ? draft.base : finalOf(draft.base)
  if (draft.isList && draft.isFinal) draft.final ??= finishList(draft)
  else draft.final ??= finalCopy(copyOf(draft), draft.isFinal ? draft.base : undefined)
  return draft.final
}

/** In place: the copy is ours, and what was not touched is final. Looking at each of 1,000 elements would be slow. */
function finishList(draft: Draft): unknown[] {
  const list = copyOf(draft) as unknown as unknown[] // a list's copy is one
  for (const key of draft.touched) {
    const index = Number(key) // symbols never get here: a list of JSON values has none
    if (index < list.length) list[index] = finalOf(list[index])
  }
  if (draft.parent?.parent !== undefined) Object.freeze(list) // `freezeLists` has those directly under the root
  return list
}

/** JSON has no undefined: memory stays what the disk gives back. `base`: its parts are final. */
function finalCopy(value: object, base: Plain | undefined): object {
  if (Array.isArray(value)) return Object.freeze(value.map(finalOf))
  if (!isPlain(value)) throw notJson(value)
  const copy: Plain = {}
  for (const [key, item] of Object.entries(value)) {
    if (item !== undefined) copy[key] = base && item === base[key] ? item : finalOf(item)
  }
  return Object.freeze(copy)
}

/** An object that someone else froze may still hold one that can change. */
function isFrozenTree(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function' && typeof value !== 'bigint'
  return Object.isFrozen(value) && (Array.isArray(value) || isPlain(value)) && Object.values(value).every(isFrozenTree)
}

function resolveDrafts(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (draftBehind(value)) return finalOf(value)
  if (Object.isFrozen(value)) return value
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
  const kind = Object.prototype.toString.call(value)
  return new TypeError(`A change put something into the state that JSON can't hold: ${kind}`)
}
