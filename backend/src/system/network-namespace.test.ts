import { describe, expect, it } from '@jest/globals'
import { ownerOf, separated, startInNetwork } from './network-namespace.js'

describe('a program in a network of its own', () => {
  const start = { program: 'qemu', args: ['-S'], identity: { uid: 1_900_000_001, gid: 108 } }

  it('is started as root, which then becomes the user', () => {
    const { program, args, identity } = separated('root', start)
    expect([program, ...args].join(' ')).toBe('unshare --net --mount --setgid 108 --setuid 1900000001 -- qemu -S')
    expect(identity).toBeUndefined()
  })

  it('has no rights in the user namespace that an ordinary user needs for it', () => {
    const { args } = separated('user', { ...start, identity: undefined })
    expect(args.join(' ')).toBe(
      '--user --map-root-user --net --mount --propagation unchanged -- setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- qemu -S',
    )
  })

  it('is started as the user where root lacks the right, as in a container', () => {
    const { program, args, identity } = separated('user', start)
    expect([program, ...args.slice(0, 2)].join(' ')).toBe('unshare --user --map-root-user')
    expect(args).not.toContain('--setuid')
    expect(identity).toEqual(start.identity)
  })

  it('is worked on by root where root has made it, else by the user whose it is', () => {
    const { identity } = start
    expect(ownerOf({ way: 'root', pid: 1, identity })).toBeUndefined()
    expect(ownerOf({ way: 'user', pid: 1, identity })).toEqual(identity)
  })

  it('is joined without any right, and never as root of this machine', () => {
    const { identity } = start
    const dropped = '--bounding-set=-all --inh-caps=-all --no-new-privs -- cat x'
    const root = startInNetwork({ way: 'root', pid: 7, identity }, 'cat', ['x'])
    expect([root.program, ...root.args].join(' ')).toBe(
      `nsenter --target 7 --net -- setpriv --reuid=65534 --regid=65534 --clear-groups ${dropped}`,
    )
    expect(root.identity).toBeUndefined()
    const user = startInNetwork({ way: 'user', pid: 7, identity }, 'cat', ['x'])
    expect([user.program, ...user.args].join(' ')).toBe(
      `nsenter --target 7 --user --preserve-credentials --net -- setpriv ${dropped}`,
    )
    expect(user.identity).toEqual(identity)
  })

  it('is left as it is where there are no namespaces', () => {
    expect(separated('none', start)).toEqual(start)
  })
})
