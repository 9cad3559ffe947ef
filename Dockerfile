# coupond as an image: the first stage builds it, the second holds what it needs to run.
FROM debian:12-slim AS build
WORKDIR /coupond
# By itself: fetched again only where one of these files changes.
COPY package.json package-lock.json .npmrc ./
COPY script/bootstrap script/
RUN script/bootstrap
COPY CMakeLists.txt CMakePresets.json ./
COPY bench/CMakeLists.txt bench/one_row.cpp bench/
COPY tests/CMakeLists.txt tests/
COPY api/ api/
COPY src/ src/
RUN cmake --preset release \
    && cmake --build --preset release --target coupond couponctl \
    && strip build/release/coupond build/release/couponctl

FROM debian:12-slim
# libpq5 is for PostgreSQL, ca-certificates for TLS to it and to Redis, tzdata for statistics in a time zone.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ca-certificates libpq5 libstdc++6 tzdata >/dev/null \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data \
        --shell /usr/sbin/nologin coupond \
    && install -d -o coupond -g coupond -m 0700 /data
COPY --from=build /coupond/build/release/coupond /coupond/build/release/couponctl /usr/local/bin/

# As numbers, so that a platform sees that it is not root.
USER 10001:10001
ENV HOST=0.0.0.0 PORT=3000 DATA_DIR=/data
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
# There is no curl in here, and need not be: bash speaks TCP. What stands for all addresses
# (0.0.0.0) is one to connect to as well.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD bash -c \
    'exec 3<>"/dev/tcp/$HOST/$PORT" && printf "GET /health/ready HTTP/1.0\r\n\r\n" >&3 \
    && read -r _ status _ <&3 && [ "$status" = 200 ]'
ENTRYPOINT ["coupond"]
CMD ["serve"]
