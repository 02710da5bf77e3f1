# Client build → server publish → a small runtime. Replace the base images by your own with --build-arg.
ARG NODE_IMAGE=node:20-bookworm-slim
ARG SDK_IMAGE=mcr.microsoft.com/dotnet/sdk:10.0
ARG RUNTIME_IMAGE=mcr.microsoft.com/dotnet/aspnet:10.0

FROM ${NODE_IMAGE} AS client
WORKDIR /source/client
COPY client/package.json client/package-lock.json ./
RUN npm ci --ignore-scripts
COPY client/ ./
RUN npm run build

FROM ${SDK_IMAGE} AS server
WORKDIR /source
COPY global.json Directory.Build.props Directory.Build.targets Directory.Packages.props .editorconfig ./
COPY locks/ locks/
COPY src/ src/
COPY --from=client /source/client/dist client/dist
# The client is there already: this image has no Node.js.
# CI: only what the lock files say.
RUN CI=true dotnet publish src/Server -c Release -o /app -p:BuildClient=false
COPY models/ /app/models/
RUN rm -rf /app/models/*/training

FROM ${RUNTIME_IMAGE}
WORKDIR /app
COPY --from=server /app ./
# The image's own unprivileged user (https://learn.microsoft.com/dotnet/core/docker/container-images): the process needs no more.
USER 1654
ENV PORT=8080 DOTNET_EnableDiagnostics=0
EXPOSE 8080
ENTRYPOINT ["./Whatsit.Server"]
