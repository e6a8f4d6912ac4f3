/// Mapping files that come with the program, by the name that `--statsd-mapping` takes instead of a path.
///
/// They are part of the program so that it needs no files beside it; schemas/mappings holds the same texts to read and
/// to copy, and a test keeps the two alike.
package enum ShippedMappings {
    package static let all: [String: String] = ["spring-http": springHTTP]

    private static let springHTTP = #"""
        # Micrometer's timer of incoming requests under the names that dashboards and alerts for HTTP services use:
        #   http_requests_total{method, route, status}
        #   http_request_duration_seconds{method, route, status}
        mappings:
          - match: http.server.requests          # Datadog and Sysdig flavours
            match_metric_type: observer
            name: http_request_duration_seconds
            count_name: http_requests_total
            unit: milliseconds                   # |d lines of timers with a histogram hold milliseconds, as |ms lines do
            tags: {method: method, uri: route, status: status}
            help: Duration of HTTP requests
          - match: http_server_requests          # Telegraf flavour
            match_metric_type: observer
            name: http_request_duration_seconds
            count_name: http_requests_total
            unit: milliseconds
            tags: {method: method, uri: route, status: status}
            help: Duration of HTTP requests
          - match: '^httpServerRequests\.(?:.*\.)?method\.([^.]+)\..*status\.([^.]+)\.uri\.(.+)$'
            match_type: regex                    # Etsy flavour: the tags are in the name, sorted by key
            match_metric_type: observer
            name: http_request_duration_seconds
            count_name: http_requests_total
            unit: milliseconds
            labels: {method: $1, route: $3, status: $2}
            help: Duration of HTTP requests
        """#
}
