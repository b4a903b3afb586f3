{{- define "embedplane.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "embedplane.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "embedplane.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "embedplane.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Names of cluster-wide objects carry the namespace: two releases of one name can stand side by side. */}}
{{- define "embedplane.clusterName" -}}
{{- printf "%s-%s" (include "embedplane.fullname" .) .Release.Namespace }}
{{- end }}

{{- define "embedplane.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "embedplane.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name names the ServiceAccount to use when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "embedplane.installation" -}}
{{- if .Values.installation }}
{{- .Values.installation }}
{{- else if .Values.watchNamespaces }}
{{- .Release.Namespace }}
{{- else -}}
embedplane
{{- end }}
{{- end }}

{{- define "embedplane.leaseName" -}}
{{- printf "embedplane-operator-%s" (include "embedplane.installation" .) | lower | replace "_" "-" | trunc 253 }}
{{- end }}

{{- define "embedplane.selectorLabels" -}}
app.kubernetes.io/name: {{ include "embedplane.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "embedplane.labels" -}}
{{ include "embedplane.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* (dict "root" . "image" .Values.images.server): the reference of an image, by digest if there is one */}}
{{- define "embedplane.image" -}}
{{- $registry := .root.Values.images.registry | trimSuffix "/" }}
{{- $repository := ternary (printf "%s/%s" $registry .image.repository) .image.repository (ne $registry "") }}
{{- if .image.digest }}
{{- printf "%s@%s" $repository .image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .root.Chart.AppVersion .image.tag) }}
{{- end }}
{{- end }}

{{- /*
The CRD outlives the release that brought it, and Helm lets no other release have it. So another release leaves it
alone while it is the same; when it is not, somebody has to decide.
*/}}
{{- define "embedplane.bringsCrd" -}}
{{- if .root.Values.crds.enabled }}
{{- $found := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" .name }}
{{- $annotations := dig "metadata" "annotations" dict $found }}
{{- $owner := get $annotations "meta.helm.sh/release-name" }}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" }}
{{- if and (eq $owner .root.Release.Name) (eq $namespace .root.Release.Namespace) }}yes
{{- else if not $found }}yes
{{- else if ne (get $annotations "embedplane.io/content") .content }}
{{- fail (printf "\nThe CRD %s in this cluster is not this chart's and belongs to %s.\nTo bring it up to date: kubectl apply --server-side --force-conflicts -f crds/ (of this version), then install again.\nTo keep it as it is: --set crds.enabled=false" .name (ternary (printf "release %s in namespace %s" $owner $namespace) "no release of Helm" (ne $owner ""))) }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
Two releases that look after all namespaces would both answer for every model. Rights that reach everywhere tell them; a
release is known by its annotations, or by the role's name where something else than Helm applied it.
*/}}
{{- define "embedplane.refuseSecond" -}}
{{- $roles := lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" "" }}
{{- range (dig "items" list $roles) }}
{{- $labels := dig "metadata" "labels" dict . }}
{{- $annotations := dig "metadata" "annotations" dict . }}
{{- $release := get $annotations "meta.helm.sh/release-name" | default (get $labels "app.kubernetes.io/instance") }}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" }}
{{- $isOurs := or (eq .metadata.name (include "embedplane.clusterName" $)) (and (eq $release $.Release.Name) (eq $namespace $.Release.Namespace)) }}
{{- if and (eq (get $labels "embedplane.io/scope") "all-namespaces") (not $isOurs) }}
{{- fail (printf "\nThe release %s%s looks after the EmbeddingModels of all namespaces already, and two would answer for every model.\nUpgrade or uninstall that one (models go on serving), or give each release namespaces of its own: --set watchNamespaces={...}" $release (ternary (printf " in namespace %s" $namespace) "" (ne $namespace ""))) }}
{{- end }}
{{- end }}
{{- end }}
