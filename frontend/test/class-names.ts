/** Stands for every CSS module: each class is called by its own name. */
const classNames = new Proxy<Record<string, string>>({}, { get: (_target, name) => String(name) })
export default classNames
