// Style sheets under Jest: each class is called by its own name.
module.exports = {
  process: () => ({ code: 'module.exports = new Proxy({}, { get: (_target, name) => String(name) })' }),
}
