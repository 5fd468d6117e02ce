const PASSED_ON = /^(PATH|HOME|TMPDIR|USER|LOGNAME|SSL_CERT_FILE|SSL_CERT_DIR|(https?|ftp|no|all)_proxy)$/i

/** What every child of ours may know: where programs are, proxies, a fixed language for what we parse. */
export function childEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  const passed: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (PASSED_ON.test(name) && value !== undefined) passed[name] = value
  }
  // Debian keeps mke2fs and others where an ordinary user's PATH does not look.
  const path = `${passed['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`
  return { ...passed, PATH: path, LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8', ...extra }
}
