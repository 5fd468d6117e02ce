// Four suites: `unit` beside the code, `behaviour` over a real server with a fake engine, `e2e` over real QEMU,
// PostgreSQL and Chromium, `compose` over a real container engine. All are ESM, compiled by swc; types are checked apart
// by `npm run types`.
const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/dist'],
}

export default {
  workerIdleMemoryLimit: '600MB',
  maxWorkers: 2,
  projects: [
    { ...shared, displayName: 'unit', testMatch: ['<rootDir>/src/**/*.test.ts'] },
    {
      ...shared,
      displayName: 'behaviour',
      testMatch: ['<rootDir>/test/{api,console,state,support}/**/*.test.ts'],
    },
    { ...shared, displayName: 'e2e', testMatch: ['<rootDir>/test/{qemu,e2e}/**/*.test.ts'] },
    { ...shared, displayName: 'compose', testMatch: ['<rootDir>/test/compose/**/*.test.ts'] },
  ],
}
