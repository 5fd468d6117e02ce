/**
 * `modules.dep` of depmod(8): each module's file and the files that it needs, relative to the folder of the kernel's
 * modules.
 */
export interface ModuleIndex {
  fileOf(name: string): string | undefined
  needsOf(file: string): readonly string[]
}

export function parseModulesDep(text: string): ModuleIndex {
  const needs = new Map<string, string[]>()
  const files = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [file, rest] = line.split(/:\s*/, 2)
    if (!file) continue
    needs.set(file, rest?.split(/\s+/).filter(Boolean) ?? [])
    files.set(moduleName(file), file)
  }
  return { fileOf: (name) => files.get(moduleName(name)), needsOf: (file) => needs.get(file) ?? [] }
}

/**
 * The files that must be loaded for `names`, each after those that it needs. A name that is no file is built into the
 * kernel, or this kernel lacks it: left out either way.
 */
export function loadOrder(index: ModuleIndex, names: readonly string[]): string[] {
  const ordered: string[] = []
  const visited = new Set<string>()
  const visit = (file: string): void => {
    if (visited.has(file)) return
    visited.add(file)
    for (const needed of index.needsOf(file)) visit(needed)
    ordered.push(file)
  }
  for (const name of names) {
    const file = index.fileOf(name)
    if (file !== undefined) visit(file)
  }
  return ordered
}

/** `kernel/drivers/char/hw_random/virtio-rng.ko.xz` → `virtio_rng`: dashes and underscores are the same to the kernel. */
export function moduleName(file: string): string {
  const base = file.slice(file.lastIndexOf('/') + 1)
  return base.replace(/\.ko(\.\w+)?$/, '').replaceAll('-', '_')
}
