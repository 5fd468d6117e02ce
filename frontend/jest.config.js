// One suite, in jsdom: the page's pure parts and its key components. Real browsers are driven by the backend's e2e suite.
export default {
  testEnvironment: 'jsdom',
  testMatch: ['<rootDir>/src/**/*.test.{ts,tsx}'],
  extensionsToTreatAsEsm: ['.ts', '.tsx'],
  setupFiles: ['<rootDir>/test/browser.ts'],
  setupFilesAfterEnv: ['<rootDir>/test/no-warnings.ts'],
  moduleNameMapper: {
    '^@domain/(.*)\\.js$': '<rootDir>/../backend/src/domain/$1',
    // One file instead of 5,000 modules.
    '^@tabler/icons-react$': '<rootDir>/../node_modules/@tabler/icons-react/dist/cjs/tabler-icons-react.cjs',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '\\.css$': '<rootDir>/test/css.cjs',
    '^.+\\.tsx?$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', tsx: true },
          transform: { react: { runtime: 'automatic' } },
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  testTimeout: 30_000, // whole pages on a busy machine
  workerIdleMemoryLimit: '600MB',
  maxWorkers: 2,
}
