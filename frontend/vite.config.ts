import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const domain = new URL('../backend/src/domain', import.meta.url).pathname
const backend = 'http://127.0.0.1:3001'

/** The server fills these in per response; under `vite dev` nobody would. */
function placeholders(): Plugin {
  return {
    name: 'sandlabx-placeholders',
    apply: 'serve',
    transformIndexHtml: (html, context) =>
      context.server ? html.replaceAll('__BASE__', '/').replaceAll('__CSP_NONCE__', '') : html,
  }
}

interface Graph {
  getModuleInfo: (id: string) => { isEntry: boolean; importers: readonly string[] } | null
}

/**
 * The components of Mantine that the first load shows. All of them are reached through its index, so which are needed
 * can't be read off the imports; one that is missing here only becomes a file of its own.
 */
const FIRST_COMPONENTS =
  /ActionIcon|Button|Checkbox|CloseButton|FloatingIndicator|FocusTrap|Group|InlineInput|Input|Loader|Menu|Notification|Paper|PasswordInput|Popover|Portal|SegmentedControl|Skeleton|TextInput|Tooltip|Transition|UnstyledButton|VisuallyHidden/
const COMPONENT = /@mantine\/core\/esm\/components\/(\w+)\//

/** Whether the first load needs a module: it is reached from the entry without a lazy import in between. */
function isNeededAtFirst(graph: Graph): (id: string) => boolean {
  const known = new Map<string, boolean>()
  const ask = (id: string): boolean => {
    const before = known.get(id)
    if (before !== undefined) return before
    known.set(id, false) // a circle of imports is needed only if something outside of it needs it
    const info = graph.getModuleInfo(id)
    const component = COMPONENT.exec(id)?.[1]
    const excluded = component !== undefined && !new RegExp(`^(${FIRST_COMPONENTS.source})$`).test(component)
    const needed = !excluded && info !== null && (info.isEntry || info.importers.some(ask))
    known.set(id, needed)
    return needed
  }
  return ask
}

/** One file for the first load instead of a hundred; lazy parts stay apart. */
function firstLoadInOneFile() {
  let ask: ((id: string) => boolean) | undefined
  return {
    name: (id: string, graph: Graph) => {
      ask ??= isNeededAtFirst(graph)
      return ask(id) ? 'start' : null
    },
  }
}

export default defineConfig({
  // Relative, so that one build works at the root and under a sub-path; index.html carries <base href>.
  base: './',
  plugins: [react(), placeholders()],
  resolve: { alias: { '@domain': domain } },
  build: {
    target: 'es2022', // noVNC uses top-level await
    assetsInlineLimit: 0, // the policy allows no data: addresses
    chunkSizeWarningLimit: 800,
    rolldownOptions: { output: { codeSplitting: { groups: [firstLoadInOneFile()] } } },
  },
  server: {
    proxy: {
      '/api': backend,
      '/socket.io': { target: backend, ws: true },
      '/ws': { target: backend, ws: true },
    },
  },
})
