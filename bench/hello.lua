-- What wrk counted, as the last line of its output: JSON for hello.py.
function done(summary, latency)
    local errors = summary.errors
    local figures = '{"requests": %d, "seconds": %.6f, "rtt_p50_us": %d, "rtt_p99_us": %d, "errors": %d, '
        .. '"errors_status": %d, "errors_connect": %d, "errors_read": %d, "errors_write": %d, "errors_timeout": %d}\n'
    io.write(figures:format(
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        errors.status + errors.connect + errors.read + errors.write + errors.timeout,
        errors.status, errors.connect, errors.read, errors.write, errors.timeout
    ))
end
