{{- /* The operator's settings file; embedplane_operator/settings.py reads it and refuses what it does not know. */}}
{{- define "embedplane.settings" -}}
installation: {{ include "embedplane.installation" . | quote }}
{{- with .Values.watchNamespaces }}
watchNamespaces:
  {{- toYaml . | nindent 2 }}
{{- end }}
images:
  server: {{ include "embedplane.image" (dict "root" . "image" .Values.images.server) | quote }}
  gpuServer: {{ include "embedplane.image" (dict "root" . "image" .Values.images.gpuServer) | quote }}
  exporter: {{ include "embedplane.image" (dict "root" . "image" .Values.images.exporter) | quote }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hub.endpoint }}
hub:
  endpoint: {{ . | quote }}
{{- end }}
store:
  accessMode: {{ .Values.store.accessMode }}
  size: {{ .Values.store.size | quote }}
  {{- with .Values.store.storageClassName }}
  storageClassName: {{ . | quote }}
  {{- end }}
  {{- with include "embedplane.remoteStore" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
storeCollection:
  {{- toYaml .Values.storeCollection | nindent 2 }}
{{- with .Values.acceleratorProfiles }}
acceleratorProfiles:
  {{- range $name, $profile := . }}
  {{- if $profile }}
  {{- include "embedplane.buildProfile" (dict "root" $ "name" $name "profile" $profile) }}
  {{ $name | quote }}:
    {{- toYaml $profile | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- with .Values.prometheus }}
{{- if .url }}
prometheus:
  url: {{ .url | quote }}
  timeoutSeconds: {{ .timeoutSeconds }}
  {{- with ternary .caFile "/etc/embedplane-prometheus-ca/ca.crt" (empty .caConfigMap.name) }}
  caFile: {{ . | quote }}
  {{- end }}
  {{- with ternary .bearerTokenFile "/etc/embedplane-prometheus-token/token" (empty .bearerTokenSecret.name) }}
  bearerTokenFile: {{ . | quote }}
  {{- end }}
  {{- with .headers }}
  headers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .matchers }}
  matchers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  labels:
    {{- toYaml .labels | nindent 4 }}
{{- end }}
{{- end }}
scaling:
  {{- toYaml .Values.scaling | nindent 2 }}
jobs:
  {{- toYaml .Values.jobs | nindent 2 }}
podSecurity:
  runAsUser: {{ .Values.podSecurity.runAsUser | toJson }}
  runAsGroup: {{ .Values.podSecurity.runAsGroup | toJson }}
  fsGroup: {{ .Values.podSecurity.fsGroup | toJson }}
networkPolicy:
  {{- toYaml .Values.networkPolicy | nindent 2 }}
scrapeAnnotations: {{ .Values.scrapeAnnotations }}
resyncSeconds: {{ .Values.resyncSeconds }}
leaderElection:
  namespace: {{ .Release.Namespace }}
  name: {{ include "embedplane.leaseName" . }}
ports:
  metrics: 8080
  health: 8081
workers: {{ .Values.workers }}
logLevel: {{ .Values.logLevel }}
{{- end }}
{{- /* A store in object storage, and what it cannot do without. */}}
{{- define "embedplane.remoteStore" -}}
{{- with .Values.store }}
{{- if .url }}
{{- if and $.Values.networkPolicy.enabled (not $.Values.networkPolicy.storeEgress) }}
{{- fail (printf "\nnetworkPolicy.storeEgress is empty, so no pod would reach %s.\nName the way to it, for example --set 'networkPolicy.storeEgress[0].ports[0].port=443', or narrower with to: and an ipBlock." .url) }}
{{- end }}
{{- if and .secrets.jobs (not .secrets.servers) (not .serviceAccountAnnotations.servers) }}
{{- fail (printf "\nstore.secrets.jobs is set and servers have no credentials for %s.\nName a Secret for them in store.secrets.servers: servers only read, so its credentials need no more." .url) }}
{{- end }}
url: {{ .url | quote }}
{{- with .endpoint }}
endpoint: {{ . | quote }}
{{- end }}
{{- with .region }}
region: {{ . | quote }}
{{- end }}
shared: {{ .shared }}
{{- if or .secrets.jobs .secrets.servers }}
secrets:
  {{- range $who, $name := .secrets }}
  {{- with $name }}
  {{ $who }}: {{ . | quote }}
  {{- end }}
  {{- end }}
{{- end }}
serviceAccountAnnotations:
  {{- toYaml .serviceAccountAnnotations | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
{{- /* An engine runs on the kind of GPU that it was built on only. The operator looks at slices of GPUs as well. */}}
{{- define "embedplane.buildProfile" -}}
{{- with .profile.buildProfile }}
{{- $builder := get $.root.Values.acceleratorProfiles . }}
{{- if not $builder }}
{{- fail (printf "\nacceleratorProfiles.%s.buildProfile names %s, which is no profile." $.name .) }}
{{- end }}
{{- if or (ne $builder.gpuName $.profile.gpuName) (ne $builder.computeCapability $.profile.computeCapability) }}
{{- fail (printf "\nacceleratorProfiles.%s.buildProfile names %s, whose nodes have %s (compute capability %s), and those of %s have %s (%s).\nAn engine runs on the kind of GPU that it was built and proven on only: name a profile of that kind." $.name . $builder.gpuName $builder.computeCapability $.name $.profile.gpuName $.profile.computeCapability) }}
{{- end }}
{{- end }}
{{- end }}
