import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const domain = new URL('../backend/src/domain', import.meta.url).pathname
const backend = 'http://127.0.0.1:8080'

/** The server fills these in per response; under `vite dev` nobody would. */
function placeholders(): Plugin {
  return {
    name: 'sandlabx-placeholders',
    apply: 'serve',
    transformIndexHtml: (html, context) =>
      context.server ? html.replaceAll('__BASE__', '/').replaceAll('__CSP_NONCE__', '') : html,
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
    cssCodeSplit: true,
    reportCompressedSize: true,
  },
  server: {
    proxy: {
      '/api': backend,
      '/socket.io': { target: backend, ws: true },
      '/ws': { target: backend, ws: true },
    },
  },
})
