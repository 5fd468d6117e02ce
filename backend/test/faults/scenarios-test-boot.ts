import { testBootSchema } from '../../src/domain/test-boot.js'
import { ACTOR, idOf, type Rooms } from './rooms.js'
import type { Scenario } from './scenarios.js'

/** Alpha's disk in an ephemeral node. The records show nothing of it, before and after: only what leaks is found. */
export const TEST_BOOT: Scenario = {
  name: 'test-boot',
  kinds: ['node.testBoot'],
  async ready(rooms) {
    const { phase } = await rooms.engine.inspect(alpha(rooms))
    if (phase === 'running') await rooms.nodes.stop(alpha(rooms), true, ACTOR)
  },
  async act(rooms) {
    const { id } = await rooms.disks.testBoots.begin(testBootSchema.parse({ nodeId: alpha(rooms) }), ACTOR)
    await rooms.operations.ended(id)
  },
  state: () => 'after',
}

const alpha = (rooms: Rooms) => rooms.nodes.record(idOf(rooms, 'alpha')).id
