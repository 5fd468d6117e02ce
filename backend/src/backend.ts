import { createHash, randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { addressOf } from './api/address.js'
import { consoleOriginAllowed, originAllowed, subjectOf } from './api/auth.js'
import { takeOffBasePath } from './api/base-path.js'
import { createConsoleVisits, forgetOldVisits } from './api/console-visits.js'
import { recordControl, recordTrust } from './api/console-control.js'
import { runHealthChecks } from './api/health-checks.js'
import { mayOpenConsole, ownedBy } from './api/node-access.js'
import { createAnswers } from './api/idempotency.js'
import { createServer } from './api/server.js'
import type { Lab, Services } from './api/services.js'
import type { Config } from './config.js'
import { createConsoles } from './consoles/gateway.js'
import { createLabRecordings } from './consoles/recording/lab-recordings.js'
import { createGuacamole } from './consoles/guacamole/guacamole.js'
import { openHostKeys } from './consoles/ssh/host-keys.js'
import { openLabKey } from './consoles/ssh/lab-key.js'
import type { SshDependencies } from './consoles/ssh/ssh-console.js'
import { isSandlabError } from './domain/error.js'
import { aliveFile, auditSpoolFile, consoleHistorySpoolFile, secretFile } from './domain/layout.js'
import { createDisks } from './disks/disks.js'
import { procedures } from './disks/procedures.js'
import { createBus } from './events/bus.js'
import { createSockets } from './events/sockets.js'
import type { NodeEngine } from './hosts/engine.js'
import { connectBroker } from './hosts/broker-client.js'
import { createProcessEngine } from './hosts/process-engine.js'
import { sweepImageFolders } from './images/staging.js'
import { createUploads } from './images/uploads.js'
import type { NodesDependencies } from './nodes/context.js'
import { createNodes } from './nodes/nodes.js'
import { lockDisks } from './state/lock.js'
import { createOwnersFile } from './state/owners.js'
import { rebuildFromSidecars } from './state/rebuild.js'
import { openStore } from './state/store.js'
import { sweepOverlayStaging } from './storage/overlays.js'
import { openDataFolders } from './system/data-folders.js'
import { writeFileDurably } from './system/durable-file.js'
import { workerIdentity } from './system/identity.js'
import { createLog } from './system/log.js'
import { postgresIdentity, startPostgres } from './system/postgres.js'
import { createNodeLocks } from './transactions/node-lock.js'
import { createOperations } from './transactions/operations.js'
import { createTransactions } from './transactions/transactions.js'
import { createAccounts } from './users/accounts.js'
import { createAudit } from './users/audit.js'
import { createConsoleHistory } from './users/console-history.js'
import { openDatabase } from './users/database.js'
import { createDirectory } from './users/directory.js'
import { createSessions } from './users/sessions.js'
import { createSignInLimiter } from './users/sign-in-limiter.js'
import { createTokens } from './users/tokens.js'

export interface Backend {
  http: Server
  services: Services
  /** Closes what was opened, newest first. Nodes are left as `SANDLABX_ON_STOP` and they themselves say. */
  close(): Promise<void>
  onClose(step: () => Promise<unknown>): void
}

export interface BackendOptions {
  config: Config
  version: string
  pageFolder: string | undefined
  /** Tests give a fake; otherwise QEMU processes on this machine. */
  engine?: NodeEngine
  /** Told once in the life of an installation, when the first account has been made. */
  onFirstAdministrator?: (first: { login: string; password: string }) => void
}

/** The composition root: every part is made here, once, and closed in reverse. */
export async function startBackend(options: BackendOptions): Promise<Backend> {
  const { config } = options
  const closing: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const step of closing.splice(0).toReversed())
      await step().catch((error: unknown) => log.warn({ err: error }, 'closing'))
  }
  const log = createLog(config.logLevel)
  try {
    await openDataFolders(config.layout, config.mustBeMounted)
    // The lock comes with the store: a second backend ends here, before it has touched anything.
    const opened = await openStoreOrSafeMode(config, log)
    if ('store' in opened) closing.push(() => opened.store.close())
    else closing.push(() => opened.release())
    const unlockDisks = await lockDisks(config.layout)
    closing.push(async () => unlockDisks())
    const services = await makeServices(options, log, closing)
    const http = createServer(services, options.pageFolder)
    const live = connectLiveUpdates(services, http)
    closing.push(() => live.close())
    takeOffBasePath(http, config.basePath)

    if ('store' in opened) {
      services.stateWarning = opened.warning
      services.lab = await makeLab(options, services, opened.store, closing)
    } else {
      services.safeMode = { reason: opened.reason, sidecars: opened.sidecars }
      services.rebuild = async () => {
        const rebuilt = await rebuildFromSidecars(config.layout, await accountsIfKnown(services))
        await opened.release()
        const { store, warning } = await openStore({ layout: config.layout, log })
        closing.push(() => store.close())
        services.stateWarning = warning
        services.lab = await makeLab(options, services, store, closing)
        services.safeMode = undefined
        void services.lab.nodes.resumeLeft()
        return rebuilt
      }
    }
    await listen(http, config)
    void services.lab?.nodes.resumeLeft()
    return {
      http,
      services,
      onClose: (step) => void closing.push(step),
      async close() {
        const { onStop, onStopWithinMs: withinMs } = config
        const ended = endServer(http) // no new requests from here on; it is over once the sockets below are closed
        await services.lab?.nodes.leave({ onStop, withinMs }) // while all else still works
        await close()
        await ended
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

type SafeModeState = { reason: string; sidecars: number; release(): Promise<void> }

/** An unreadable state is no reason to end: people must be able to see why and to rebuild it. */
async function openStoreOrSafeMode(config: Config, log: Services['log']) {
  try {
    return await openStore({ layout: config.layout, log })
  } catch (error) {
    if (!isSandlabError(error, 'safe_mode')) throw error
    log.error({ err: error }, 'safe mode')
    const release = error.details?.['release']
    return {
      reason: error.message,
      sidecars: Number(error.details?.['candidates'] ?? 0),
      release: typeof release === 'function' ? (release as () => Promise<void>) : async () => {},
    } satisfies SafeModeState
  }
}

/** Null while the database is away: then owners stay as the records have them. */
async function accountsIfKnown({ accounts }: Services) {
  return accounts.list().catch((error: unknown) => {
    if (isSandlabError(error, 'database_down')) return null
    throw error
  })
}

async function makeServices(
  options: BackendOptions,
  log: Services['log'],
  closing: (() => Promise<unknown>)[],
): Promise<Services> {
  const { config } = options
  const bus = createBus()
  const parts = await connectDatabase(config, log, closing)
  const { database } = parts
  const accounts = createAccounts(database, { layout: config.layout })
  const sessions = createSessions(database)
  closing.push(async () => sessions.close())
  const tokens = createTokens(database)
  const audit = createAudit(database, log, { spoolFile: auditSpoolFile(config.layout) })
  closing.push(() => audit.close())
  const consoleHistory = await createConsoleHistory(database, log, {
    spoolFile: consoleHistorySpoolFile(config.layout),
    aliveFile: aliveFile(config.layout),
  })
  closing.push(() => consoleHistory.close())
  const owners = createOwnersFile(config.layout, log)
  closing.push(() => owners.settled())
  const directory = createDirectory((users) => owners.remember(users))
  const prepare = async () => {
    const first = await accounts.ensureFirstAdministrator() // its password is in firstLoginFile, which `up` shows
    if (first) options.onFirstAdministrator?.(first)
    directory.fill(await accounts.list())
  }
  await prepareAccounts(prepare, log, closing)

  const services: Services = {
    config,
    version: options.version,
    log,
    bus,
    database,
    accounts,
    sessions,
    tokens,
    audit,
    consoleHistory,
    postgresHealth: parts.postgresHealth,
    signInLimiter: createSignInLimiter(),
    answers: createAnswers(),
    directory,
    lab: undefined,
    safeMode: undefined,
    stateWarning: null,
    checkHealth: () => runHealthChecks(services),
    rebuild: () => Promise.reject(new Error('not in safe mode')),
    localTokenHash: await writeLocalToken(config),
  }
  return services
}

/** With the database away the backend still serves what runs; accounts are made and read as soon as it is back. */
async function prepareAccounts(
  prepare: () => Promise<void>,
  log: Services['log'],
  closing: (() => Promise<unknown>)[],
): Promise<void> {
  try {
    await prepare()
  } catch (error) {
    if (!isSandlabError(error, 'database_down')) throw error
    log.error({ err: error }, 'the database does not answer; trying again every two seconds')
    const retry = setInterval(
      () =>
        void prepare().then(
          () => clearInterval(retry),
          () => undefined,
        ),
      2000,
    )
    closing.push(async () => clearInterval(retry))
  }
}

async function connectDatabase(config: Config, log: Services['log'], closing: (() => Promise<unknown>)[]) {
  if (config.databaseUrl !== undefined) {
    const database = openDatabase({ connectionString: config.databaseUrl }, log)
    closing.push(() => database.close())
    return { database, postgresHealth: undefined }
  }
  const postgres = await startPostgres({ layout: config.layout, log, identity: postgresIdentity() })
  closing.push(() => postgres.stop())
  const database = openDatabase(postgres.connection, log)
  closing.push(() => database.close())
  return { database, postgresHealth: () => postgres.health() }
}

/** Readable by whoever owns the state folder, and by nobody else. */
async function writeLocalToken(config: Config): Promise<string> {
  const file = `${config.layout.state}/local-token`
  const kept = await readFile(file, 'utf8').catch(() => '')
  const token = /^sbx_local_[\w-]{43}$/.test(kept) ? kept : `sbx_local_${randomBytes(32).toString('base64url')}`
  await writeFile(`${file}.tmp`, token, { mode: 0o600 })
  await rename(`${file}.tmp`, file)
  return createHash('sha256').update(token).digest('hex')
}

/** Made once; what is derived from it can be derived again. */
async function readSecret(config: Config): Promise<string> {
  const file = secretFile(config.layout)
  const kept = await readFile(file, 'utf8').catch(() => '')
  if (/^[\w-]{43}$/.test(kept)) return kept
  const secret = randomBytes(32).toString('base64url')
  await writeFileDurably(file, secret)
  return secret
}

/** Without a key that can be used there are no SSH consoles, and everything else. */
async function openSshParts(config: Config, store: Lab['store'], services: Services): Promise<SshDependencies | null> {
  const { layout } = config
  const { log } = services
  const recordOf = (nodeId: string) => store.data.nodes.find(({ id }) => id === nodeId)
  try {
    return {
      key: await openLabKey(layout),
      hostKeys: await openHostKeys({ layout, log, exists: (nodeId) => recordOf(nodeId) !== undefined }),
      accountOf(nodeId) {
        const record = recordOf(nodeId)
        return record && { name: record.name, user: record.guest.user }
      },
      onTrusted: (session, fingerprint) => recordTrust(services, session, fingerprint),
    }
  } catch (error) {
    log.error({ err: error }, 'there are no SSH consoles')
    return null
  }
}

async function makeLab(
  options: BackendOptions,
  services: Services,
  store: Lab['store'],
  closing: (() => Promise<unknown>)[],
): Promise<Lab> {
  const { config } = options
  const { log, bus } = services
  await sweepOverlayStaging(config.layout)
  const engine =
    options.engine ??
    (await createProcessEngine({
      layout: config.layout,
      dataDir: config.dataDir,
      log,
      accelerator: config.accelerator,
      ...(config.broker === undefined ? {} : { broker: connectBroker(config.broker) }),
    }))
  closing.push(() => engine.close())
  const operations = createOperations({ store, bus, log })
  closing.push(() => operations.close())
  const uploads = createUploads({
    layout: config.layout,
    maxBytes: config.uploadMaxBytes,
    log,
    authorize: async (request) => (await subjectOf(services, request))?.userId ?? '', // asked after mountUploads
  })
  closing.push(async () => uploads.close())
  await uploads.sweep()
  const ssh = await openSshParts(config, store, services)
  const transactions = await createTransactions({ layout: config.layout, store, operations, log })
  const dependencies: NodesDependencies = {
    layout: config.layout,
    store,
    engine,
    locks: createNodeLocks(),
    transactions,
    operations,
    secret: await readSecret(config),
    ...(ssh ? { labKeys: [ssh.key.publicKey] } : {}),
    bus,
    log,
    owners: services.directory,
    rules: config,
    now: () => new Date(),
  }
  const nodes = await createNodes(dependencies, procedures)
  closing.push(async () => nodes.close())
  const disks = createDisks(nodes.context)
  closing.push(async () => disks.close())
  // After the journal: an operation that was killed takes its files back first.
  await sweepImageFolders(config.layout, { keepStaging: (transactions.recovery?.failed.length ?? 0) > 0 })
  const recordings = await createLabRecordings({ layout: config.layout, log, store, disks })
  closing.push(() => recordings.close())
  const visits = createConsoleVisits({
    history: services.consoleHistory,
    audit: services.audit,
    nodeName: (nodeId) => store.data.nodes.find(({ id }) => id === nodeId)?.name ?? '',
  })
  closing.push(async () => visits.close())
  disks.schedule.every('console history', { minutes: 60 }, () =>
    forgetOldVisits(services.consoleHistory, disks.settings.get().consoleHistoryDays),
  )
  const guacamole = config.guacd
    ? await createGuacamole({ guacd: config.guacd, layout: config.layout, log, identity: workerIdentity() })
    : undefined
  closing.push(async () => guacamole?.close())
  const consoles = createConsoles({
    engine,
    log,
    originAllowed: (request) => consoleOriginAllowed(services, request),
    mayOpen: (subject, nodeId) => mayOpenConsole(services, subject, nodeId),
    isOwn: ({ userId }, nodeId) => store.data.nodes.some(({ id, ownerId }) => id === nodeId && ownerId === userId),
    onControl: (session, what) => recordControl(services, session, what),
    ...(guacamole ? { guacamole } : {}),
    history: visits,
    recordings,
    ...(ssh ? { ssh } : {}),
    addressOf: (request) => addressOf(config, request),
  })
  closing.push(async () => consoles.close())
  log.info({ adopted: nodes.report.adopted, crashed: nodes.report.crashed, broken: nodes.report.broken }, 'reconciled')
  return { store, engine, nodes, disks, consoles, recordings, operations, transactions, uploads }
}

function connectLiveUpdates(services: Services, http: Server) {
  const live = createSockets(http, {
    bus: services.bus,
    subjectOf: (socket) => subjectOf(services, socket.request),
    ownerOf: (userId) => ownedBy(services, userId),
    originAllowed: (request) => originAllowed(services, request, true),
  })
  services.sessions.onRevoked(({ credentialId, userId }) => {
    if (credentialId !== undefined) services.lab?.consoles.closeForCredential(credentialId)
    if (userId !== undefined) services.lab?.consoles.closeForUser(userId)
    live.disconnect((subject) =>
      credentialId === undefined ? subject.userId === userId : subject.credentialId === credentialId,
    )
  })
  return live
}

async function listen(http: Server, config: Config): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject)
    http.listen(config.port, config.host, () => {
      http.off('error', reject)
      resolve()
    })
  })
}

async function endServer(http: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    http.close(() => resolve())
    http.closeAllConnections()
  })
}
