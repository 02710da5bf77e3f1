# Page → server → a small runtime. Base images are arguments: --build-arg RUNTIME_IMAGE=mcr.microsoft.com/dotnet/aspnet@sha256:… pins one to a digest.
ARG NODE_IMAGE=node:24.9.0-bookworm-slim
ARG SDK_IMAGE=mcr.microsoft.com/dotnet/sdk:10.0.401
ARG RUNTIME_IMAGE=mcr.microsoft.com/dotnet/aspnet:10.0.12
# A libvips of the distribution's that reads HEIC, too: --build-arg LIBVIPS_PACKAGES="libvips42t64 libheif-plugin-libde265" (Ubuntu), libvips42 (Debian 12).
ARG LIBVIPS_PACKAGES=

FROM ${NODE_IMAGE} AS page
WORKDIR /source/client
COPY client/package.json client/package-lock.json ./
RUN npm ci --ignore-scripts
COPY client/ ./
RUN npm run build

FROM ${SDK_IMAGE} AS server
# Restored packages are a layer of their own: a change of the code does not fetch them again. CI: what the lock files say, and nothing else.
ENV CI=true DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
WORKDIR /source
COPY global.json Directory.Build.props Directory.Build.targets Directory.Packages.props .editorconfig LICENSE THIRD-PARTY.md ./
COPY licenses/ licenses/
COPY locks/ locks/
COPY src/Server/Server.csproj src/Server/
COPY src/Inference/Inference.csproj src/Inference/
COPY src/Vips/Vips.csproj src/Vips/
RUN dotnet restore src/Server -p:_IsPublishing=true
COPY src/Vips/ src/Vips/
COPY src/Inference/ src/Inference/
COPY src/Server/ src/Server/
# This image has no Node.js: the page comes from the stage above.
RUN dotnet publish src/Server --no-restore -c Release -o /publish/code -p:BuildClient=false \
 && mkdir -p /publish/engines /publish/packages \
 && mv /publish/code/libonnxruntime* /publish/code/libvips* /publish/code/licenses /publish/engines/ \
 && find /publish/code -maxdepth 1 -name '*.dll' ! -name 'Whatsit.*' -exec mv {} /publish/packages/ \;
COPY models/ /publish/models/
RUN rm -rf /publish/models/*/training

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="Whatsit" \
      org.opencontainers.image.description="A photo in, labels out: serves an image classifier over HTTP, with a page." \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
ARG LIBVIPS_PACKAGES
RUN if [ -n "$LIBVIPS_PACKAGES" ]; then \
      apt-get update -qq && apt-get install -y -qq --no-install-recommends $LIBVIPS_PACKAGES && rm -rf /var/lib/apt/lists/*; fi
ENV Decoding__LibvipsPath=${LIBVIPS_PACKAGES:+libvips.so.42}
# Seldom changed first: an update of the code sends the last layer alone.
COPY --from=server /publish/engines/ ./
COPY --from=server /publish/models/ models/
COPY --from=server /publish/packages/ ./
COPY --from=page /source/client/dist/ wwwroot/
COPY --from=server /publish/code/ ./
# The image's own unprivileged user (https://learn.microsoft.com/dotnet/core/docker/container-images): the process needs no more.
USER 1654
# PORT decides; the base image's own choice of a port would only be warned about.
# Large pictures are decoded in pages of 2 MB where the system has them: src/README.md, Decisions.
ENV PORT=8080 ASPNETCORE_HTTP_PORTS= DOTNET_EnableDiagnostics=0 GLIBC_TUNABLES=glibc.malloc.hugetlb=1
EXPOSE 8080
# CMD and not ENTRYPOINT: Heroku starts what CMD says.
CMD ["./Whatsit.Server"]
