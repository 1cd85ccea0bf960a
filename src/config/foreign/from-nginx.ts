/** Directives that administrators of nginx try first, and what to write here instead: for messages, and for docs/migration.md. */

/** Words with the same remedy, separated by spaces; `proxy_cache_*` stands for all that begin so. The remedy completes "…: is nginx's; ". */
export type Remedies = readonly (readonly [words: string, remedy: string])[]

export const FILE_OF_NGINX =
  "is a file of nginx's; write YAML in its words: docs/migration.md has an example and says what is called otherwise here"

/** Whether a file that is no YAML looks like nginx's. */
export function isOfNginx(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  return /^[ \t]*(http|server|events|stream|location|upstream)\b[^\n{};]*\{/m.test(text) && /^[^#\n]*;/m.test(text)
}

const STREAMS = 'remove it: bodies stream in both directions and are never held'
const OPENSSL = "remove it: OpenSSL's own choice holds; ssl_protocols and ssl_ciphers can be set"
const UNTOUCHED = 'leave it to the API: bodies and headers of its answers pass as they are'

export const NGINX_WORDS: Readonly<Record<string, Remedies>> = {
  'Blocks and listening': [
    ['http events', 'leave it out: what stands in it goes into listeners, proxy and services'],
    ['stream mail', 'leave it to another server: only HTTP is forwarded'],
    [
      'server',
      'write an item of listeners[].servers, and its locations as routes of services; of an upstream, an item of its targets',
    ],
    ['listen', 'write it at the listener, in whose servers this one stands'],
    ['server_name', 'write server_names, a list'],
    ['ssl', 'remove it: every listener speaks TLS'],
    ['http2 http2_* http3 quic', 'remove it: clients are served with HTTP/1.1'],
    ['proxy_protocol', 'write proxy_protocol_from at the listener, a list of the load balancers'],
    ['set_real_ip_from real_ip_header real_ip_recursive', 'write trusted_ips at the top level, a list of the proxies'],
    [
      'return',
      'leave plain HTTP, and redirects from it, to a server on port 80: listeners speak TLS alone; deny refuses with 403',
    ],
    ['include', 'write one file; users may stand in another, users_file'],
  ],
  'TLS with clients': [
    ['ssl_session_cache', 'remove it: sessions are kept in tickets; see ssl_session_tickets and ssl_session_timeout'],
    ['ssl_session_ticket_key', 'remove it: the keys of tickets are made at the start, and all workers share them'],
    [
      'ssl_prefer_server_ciphers',
      "remove it: the server's order counts, but for ChaCha20 where a client asks for it first",
    ],
    ['ssl_ecdh_curve ssl_dhparam ssl_buffer_size ssl_conf_command ssl_engine', OPENSSL],
    ['ssl_early_data', 'remove it: early data can be replayed and is not taken'],
    ['ssl_stapling_verify', 'remove it: answers are always verified'],
    ['ssl_stapling_file', 'write ssl_stapling: on, which asks the responder'],
    ['ssl_handshake_timeout', 'write handshake_timeout at the listener'],
  ],
  'Limits for clients': [
    [
      'client_header_buffer_size large_client_header_buffers',
      'write client_max_header_size and client_max_uri_size at the listener',
    ],
    ['client_body_buffer_size client_body_temp_path client_body_in_file_only client_body_in_single_buffer', STREAMS],
    ['worker_connections', 'write max_connections at the listener'],
    ['limit_conn limit_conn_*', 'write max_connections_per_address at the listener'],
    [
      'limit_req limit_req_* limit_rate limit_rate_after proxy_limit_rate',
      'remove it: requests are not limited by rate; connection_rate_limit at the listener limits new connections',
    ],
    ['keepalive_time keepalive_disable', 'write keepalive_timeout and keepalive_requests at the listener'],
    ['ignore_invalid_headers', 'remove it: malformed headers are answered with 400'],
  ],
  'Locations and who may pass': [
    [
      'location',
      'write a route with paths at a service: [/api] for location /api, ["~/api$"] for location = /api, ["~/api/v[12]"] for location ~ ^/api/v[12]; with strip_path: false',
    ],
    [
      'if',
      'write ssl_verify_client: on at the server, or at the route beside optional at the server, for if ($ssl_client_verify …); else allow and deny',
    ],
    [
      'map geo split_clients',
      "write whose a certificate is in the server's authorization.users or the consumers' mtls_auth_credentials (docs/users.md)",
    ],
    [
      'allow deny',
      'write allow: [{ addresses: [10.0.0.0/8] }] at a service or route: who is not among them is refused; deny likewise; allow: [] for deny all',
    ],
    ['satisfy', 'write rules at a service or route: one of them must be satisfied, with all of its methods'],
    [
      'auth_basic auth_basic_user_file',
      'write rules: [[password]] at a service or route, and the lines of the file as basicauth_credentials of consumers',
    ],
    ['auth_jwt auth_jwt_key_file', 'write rules: [[token]] at a service or route, and auth.jwt_issuers'],
    ['auth_delay', 'write lockout in auth: failed attempts make wait, the longer the more there are'],
    ['limit_except', 'write allow: [{ methods: [GET, HEAD] }] at a service or route: other methods are refused'],
    [
      'auth_request auth_request_set js_* access_by_lua* modsecurity modsecurity_*',
      'write a plugin (docs/plugins.md): method_plugins or authorization_plugins',
    ],
    [
      'rewrite set break',
      'remove it: requests keep their path; for ^/old/(.*) to /new/$1 write a service whose url has the path /new/, with a route for [/old/] and strip_path: true',
    ],
    ['root alias index try_files autoindex', 'remove it: files are served by an API behind the gateway'],
  ],
  'APIs behind it': [
    ['proxy_pass', 'write the url of a service'],
    [
      'fastcgi_* uwsgi_* scgi_* grpc_* memcached_*',
      'write the url of a service that speaks HTTP/1.1; a server in front of this one must translate',
    ],
    ['upstream', 'write upstreams with targets, and the name of the upstream as host of a service'],
    [
      'proxy_set_header',
      'write identity_headers for $ssl_client_… (docs/identity.md), and preserve_host: true at the route for Host $http_host; X-Real-IP, X-Forwarded-* and Upgrade are sent anyway; others cannot be set',
    ],
    [
      'proxy_ssl_verify',
      'remove it: the certificates of APIs are verified; only unsafe_proxy_ssl_verify_off in proxy ends that',
    ],
    ['proxy_ssl_server_name proxy_ssl_session_reuse', 'remove it: it is always so'],
    ['proxy_ssl_conf_command', 'write proxy_ssl_protocols and proxy_ssl_ciphers in proxy'],
    ['proxy_ssl_password_file', 'write proxy_ssl_password in proxy, or SECRET_CLIENT_KEY_PASSPHRASE_FILE'],
    ['proxy_ssl_crl', 'write it in proxy, for all services; one goes without by proxy_revocation_check_mode: SKIP'],
    [
      'proxy_ssl_certificate proxy_ssl_certificate_key',
      'write it in proxy, for all services; for one, client_certificate with an entry of certificates',
    ],
    ['proxy_ssl_trusted_certificate', 'write it in proxy, for all services; for one, ca_certificates'],
    ['proxy_ssl_verify_depth', 'write it in proxy, for all services; for one, tls_verify_depth'],
    ['proxy_connect_timeout', 'write connect_timeout at the service, in milliseconds: 5000 for 5s'],
    ['proxy_read_timeout', 'write read_timeout at the service, in milliseconds: 30000 for 30s'],
    ['proxy_send_timeout', 'write write_timeout at the service, in milliseconds: 30000 for 30s'],
    ['proxy_http_version', 'remove it: APIs are spoken to with HTTP/1.1, and connections to them are kept'],
    [
      'proxy_buffering proxy_request_buffering proxy_buffers proxy_buffer_size proxy_busy_buffers_size proxy_max_temp_file_size proxy_temp_path proxy_temp_file_write_size',
      STREAMS,
    ],
    [
      'proxy_next_upstream proxy_next_upstream_tries proxy_next_upstream_timeout',
      'write retries at the service, the attempts after the first: 1 for two servers',
    ],
    ['keepalive', 'write upstream_keepalive_pool_size in proxy'],
    ['max_conns', 'write upstream_max_connections in proxy, for each target'],
    ['down', 'write weight: 0 at the target'],
    [
      'least_conn least_time ip_hash hash random sticky zone health_check max_fails fail_timeout backup slow_start',
      'remove it: targets take turns by weight, and an attempt that fails goes on to the next',
    ],
    ['proxy_cache proxy_cache_* proxy_no_cache proxy_store', 'remove it: nothing is cached'],
    [
      'proxy_redirect proxy_cookie_domain proxy_cookie_path proxy_cookie_flags proxy_hide_header proxy_pass_header proxy_ignore_headers add_header add_trailer expires etag if_modified_since sub_filter sub_filter_* gzip gzip_* gunzip gunzip_* brotli brotli_* more_set_headers more_clear_headers slice',
      UNTOUCHED,
    ],
    [
      'error_page proxy_intercept_errors',
      'remove it: answers of APIs pass as they are, and refusals look as docs/errors.md says',
    ],
    [
      'proxy_bind proxy_method proxy_set_body proxy_pass_request_headers proxy_pass_request_body mirror mirror_request_body internal secure_link secure_link_* valid_referers userid userid_* dav_methods ssi',
      'remove it: there is nothing like it',
    ],
    ['resolver resolver_timeout resolve', 'remove it: names are looked up as the system does'],
  ],
  Running: [
    ['worker_processes', 'write workers at the top level'],
    ['worker_shutdown_timeout', 'write timeout in shutdown'],
    ['error_log', 'write level in log; lines go to standard output'],
    ['access_log', 'write access_log: on or off in log; lines go to standard output'],
    ['log_format', 'remove it: each request is one line of JSON (docs/operations.md)'],
    ['stub_status', 'write listen in admin: /metrics has the numbers'],
    [
      'user pid daemon master_process load_module worker_cpu_affinity worker_priority worker_rlimit_nofile worker_rlimit_core working_directory env lock_file debug_points',
      'leave it to what starts the gateway, as systemd or a container',
    ],
    [
      'sendfile sendfile_max_chunk multi_accept accept_mutex use thread_pool worker_aio_requests timer_resolution server_names_hash_* types_hash_* variables_hash_* map_hash_* proxy_headers_hash_* log_not_found absolute_redirect port_in_redirect server_name_in_redirect chunked_transfer_encoding max_ranges tcp_nopush tcp_nodelay aio directio output_buffers postpone_output proxy_socket_keepalive reset_timedout_connection lingering_close lingering_time lingering_timeout server_tokens default_type types charset merge_slashes proxy_ignore_client_abort open_file_cache open_file_cache_* open_log_file_cache pcre_jit connection_pool_size request_pool_size disable_symlinks recursive_error_pages rewrite_log ssl_certificate_cache ssl_object_cache_inheritable',
      'remove it: nothing here needs it',
    ],
  ],
}
