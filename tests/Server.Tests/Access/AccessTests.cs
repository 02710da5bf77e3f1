using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Access;

/// <summary>Who may ask, how often, from where, and what every answer says of its safe use.</summary>
public sealed class AccessTests(WhatsitServer server)
{
    [Theory]
    [InlineData("GET", "/health/live", 200)]
    [InlineData("GET", "/models", 200)]
    [InlineData("GET", "/models/grocery/files/model.onnx", 200)]
    [InlineData("GET", "/nowhere", 404)]
    [InlineData("DELETE", "/predict", 405)]
    [InlineData("POST", "/predict", 400)]
    [InlineData("GET", "/metrics", 200)]
    public async Task Every_answer_carries_the_security_headers(string method, string path, int status)
    {
        using var request = new HttpRequestMessage(new(method), path);
        using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal(status, (int)response.StatusCode);
        var policy = response.Headers.GetValues("Content-Security-Policy").Single();
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.Contains("'wasm-unsafe-eval'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe-inline", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("'unsafe-eval'", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.Equal("no-referrer", response.Headers.GetValues("Referrer-Policy").Single());
        Assert.Equal("same-origin", response.Headers.GetValues("Cross-Origin-Resource-Policy").Single());
        Assert.Contains("camera=(self)", response.Headers.GetValues("Permissions-Policy").Single(), StringComparison.Ordinal);
        Assert.False(response.Headers.Contains("Strict-Transport-Security"));
        Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task What_is_not_there_is_a_problem_with_the_routes_that_are()
    {
        var missing = await HttpAssert.ProblemAsync(HttpStatusCode.NotFound, "'/predcit'", await server.Http.PostAsync("/predcit", null,
            TestContext.Current.CancellationToken));
        Assert.Equal("route-not-found", (string)missing["code"]!);
        var routes = missing["parameters"]!["routes"]!.AsArray().Select(route => (string)route!).ToArray();
        Assert.Contains("POST /predict", routes);
        Assert.Contains("GET /models/{name}/files/{file}", routes);

        using var response = await server.Http.GetAsync("/predict", TestContext.Current.CancellationToken);
        var wrong = await HttpAssert.ProblemAsync(HttpStatusCode.MethodNotAllowed, "GET is not possible", response);
        Assert.Equal("method-not-allowed", (string)wrong["code"]!);
        Assert.Contains("POST", response.Content.Headers.Allow);
    }

    [Theory]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    [InlineData("/models")]
    [InlineData("/models/grocery")]
    [InlineData("/models/grocery/classes")]
    [InlineData("/models/grocery/files/labels.txt")]
    [InlineData("/api/classes")]
    [InlineData("/assets/model_tfjs/model.json")]
    [InlineData("/metrics")]
    [InlineData("/config.json")]
    [InlineData("/swagger/v1/swagger.json")]
    public async Task HEAD_answers_as_GET_without_the_body(string path)
    {
        using var get = await server.Http.GetAsync(path, TestContext.Current.CancellationToken);
        using var request = new HttpRequestMessage(HttpMethod.Head, path);
        using var head = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal((get.StatusCode, get.Content.Headers.ContentType?.ToString()), (head.StatusCode, head.Content.Headers.ContentType?.ToString()));
        Assert.Empty(await head.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("*", "https://anyone.example", "*")]
    [InlineData("https://shop.example, http://localhost:5173", "http://localhost:5173", "http://localhost:5173")]
    [InlineData("https://shop.example", "https://other.example", null)]
    public async Task Other_origins_pages_may_ask_where_they_are_named(string origins, string origin, string? allowed)
    {
        await using var shared = WhatsitServer.With(new() { ["Cors:Origins"] = origins });
        await shared.InitializeAsync();
        foreach (var path in (string[])["/predict", "/api/predict_image", "/models/grocery/files/model.onnx"])
        {
            using var preflight = new HttpRequestMessage(HttpMethod.Options, path);
            preflight.Headers.Add("Origin", origin);
            preflight.Headers.Add("Access-Control-Request-Method", "POST");
            preflight.Headers.Add("Access-Control-Request-Headers", "content-type,authorization");
            using var answer = await shared.Http.SendAsync(preflight, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
            Assert.Equal(allowed, answer.Headers.TryGetValues("Access-Control-Allow-Origin", out var values) ? values.Single() : null);
        }

        using var request = new HttpRequestMessage(HttpMethod.Post, "/predict")
        {
            Headers = { { "Origin", origin } },
            Content = HttpAssert.Raw(WhatsitServer.Picture),
        };
        using var response = await shared.Http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(allowed, response.Headers.TryGetValues("Access-Control-Allow-Origin", out var origin1) ? origin1.Single() : null);
        if (allowed is not null)
        {
            Assert.Contains("Server-Timing", response.Headers.GetValues("Access-Control-Expose-Headers").Single(), StringComparison.Ordinal);
            Assert.Equal("cross-origin", response.Headers.GetValues("Cross-Origin-Resource-Policy").Single());
        }

        // A page must be able to read why it was refused, too.
        using var bad = new HttpRequestMessage(HttpMethod.Post, "/predict") { Headers = { { "Origin", origin } } };
        using var refusal = await shared.Http.SendAsync(bad, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, refusal.StatusCode);
        Assert.Equal(allowed is not null, refusal.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Theory]
    // A proxy that strips the prefix, one that does not, and a setting alone.
    [InlineData("127.0.0.1", "", "/whatsit", "/models")]
    [InlineData("127.0.0.0/8", "", "/whatsit", "/whatsit/models")]
    [InlineData("", "/whatsit", null, "/whatsit/models")]
    [InlineData("", "whatsit/", null, "/models")]
    public async Task A_path_prefix_comes_off(string known, string pathBase, string? prefix, string path)
    {
        var settings = new Dictionary<string, string>();
        if (known.Length > 0)
        {
            settings["Proxies:Known"] = known;
        }

        if (pathBase.Length > 0)
        {
            settings["PathBase"] = pathBase;
        }

        await using var behind = WhatsitServer.With(settings);
        await behind.InitializeAsync();
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(path)).StatusCode);
        var document = JsonNode.Parse(await (await AskAsync(path.Replace("models", "swagger/v1/swagger.json",
            StringComparison.Ordinal))).Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.EndsWith("/whatsit", (string)document["servers"]![0]!["url"]!, StringComparison.Ordinal);

        async Task<HttpResponseMessage> AskAsync(string path)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            if (prefix is not null)
            {
                request.Headers.Add("X-Forwarded-Prefix", prefix);
            }

            return await behind.Http.SendAsync(request, TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task A_prefix_without_a_slash_leads_to_the_page_and_a_stranger_sets_none()
    {
        await using var behind = WhatsitServer.With(new() { ["PathBase"] = "/whatsit" });
        await behind.InitializeAsync();
        using var wire = await Wire.ConnectAsync(behind);
        await wire.SendAsync("GET /whatsit?a=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        var (status, head, _) = await wire.ReadWholeAsync();
        Assert.Equal(308, status);
        Assert.Contains("Location: /whatsit/?a=1\r\n", head, StringComparison.Ordinal);

        using var request = new HttpRequestMessage(HttpMethod.Get, "/evil/models") { Headers = { { "X-Forwarded-Prefix", "/evil" } } };
        using var response = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Fact]
    public async Task A_key_is_asked_for_where_there_are_keys()
    {
        await using var closed = WhatsitServer.With(new()
        {
            ["Access:Keys:0:Name"] = "shop",
            ["Access:Keys:0:Sha256"] = Sha256("the shop's key"),
            ["Access:Keys:1:Name"] = "kiosk",
            ["Access:Keys:1:Sha256"] = Sha256("the kiosk's key").ToUpperInvariant(),
            ["Access:Keys:1:RequestsPerMinute"] = "2",
            ["Access:Keys:1:MaxUploadBytes"] = "200000",
            ["Access:KeyForOperations"] = "true",
        });
        await closed.InitializeAsync();
        foreach (var (method, path) in ((string, string)[])[("POST", "/predict"), ("PUT", "/predict"), ("POST", "/api/predict_image"), ("GET", "/api/classes"),
            ("GET", "/api/predict_url"), ("GET", "/assets/model_tfjs/model.json"), ("GET", "/metrics"), ("GET", "/swagger/v1/swagger.json")])
        {
            foreach (var key in (string?[])[null, "", "another", "the shop's key "[..^2]])
            {
                using var refused = await AskAsync(method, path, key);
                Assert.Equal("Bearer", refused.Headers.WwwAuthenticate.Single().ToString());
                Assert.Equal("api-key-needed", (string)(await HttpAssert.ProblemAsync(HttpStatusCode.Unauthorized, "API key", refused))["code"]!);
            }

            using var known = await AskAsync(method, path, "the shop's key");
            Assert.NotEqual(HttpStatusCode.Unauthorized, known.StatusCode);
        }

        // The page, its models and the health of the process are for everybody.
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("GET", "/models", null)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("GET", "/health/live", null)).StatusCode);

        using var header = new HttpRequestMessage(HttpMethod.Post, "/predict")
        {
            Headers = { { "X-Api-Key", "the kiosk's key" } },
            Content = HttpAssert.Raw(WhatsitServer.Picture),
        };
        using var answer = await closed.Http.SendAsync(header, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        using var large = new HttpRequestMessage(HttpMethod.Post, "/predict")
        {
            Headers = { { "X-Api-Key", "the kiosk's key" } },
            Content = HttpAssert.Raw(new byte[200_001]),
        };
        var full = await HttpAssert.ProblemAsync(HttpStatusCode.TooManyRequests, "200,000", await closed.Http.SendAsync(large,
            TestContext.Current.CancellationToken));
        Assert.Equal("upload-share-used", (string)full["code"]!);
        using var third = await AskAsync("POST", "/predict", "the kiosk's key");
        Assert.Equal("rate-limited", (string)(await HttpAssert.ProblemAsync(HttpStatusCode.TooManyRequests, "2 requests per minute", third))["code"]!);
        Assert.InRange(int.Parse(third.Headers.GetValues("Retry-After").Single()), 1, 30);
        using var other = await AskAsync("POST", "/predict", "the shop's key");
        Assert.Equal(HttpStatusCode.BadRequest, other.StatusCode);

        Task<HttpResponseMessage> AskAsync(string method, string path, string? key)
        {
            var request = new HttpRequestMessage(new(method), path);
            if (key is not null)
            {
                request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {key}");
            }

            return closed.Http.SendAsync(request, TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task An_address_has_its_rate_where_addresses_mean_something()
    {
        await using var limited = WhatsitServer.With(new() { ["Access:RequestsPerMinute"] = "2", ["Proxies:Known"] = "127.0.0.1" });
        await limited.InitializeAsync();
        Assert.Equal((int[])[400, 400, 429], (int[])[await AskAsync("203.0.113.7"), await AskAsync("203.0.113.7"), await AskAsync("203.0.113.7")]);
        Assert.Equal(400, await AskAsync("203.0.113.8"));

        await using var unknown = WhatsitServer.With(new() { ["Access:RequestsPerMinute"] = "1" });
        await unknown.InitializeAsync();
        // Behind a proxy that is not known, everyone has its address.
        var statuses = new List<int>();
        for (var request = 0; request < 3; request++)
        {
            statuses.Add((await Wire.AskAsync(unknown,
                "POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.7\r\nContent-Length: 0")).Status);
        }

        Assert.Equal([400, 400, 400], statuses);

        async Task<int> AskAsync(string client) =>
            (await Wire.AskAsync(limited, $"POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {client}\r\nContent-Length: 0")).Status;
    }

    [Theory(Timeout = 600_000)]
    [InlineData("Access:Keys:0:Sha256", "abc", "Access:Keys:0")]
    [InlineData("Cors:Origins", "shop.example", "'shop.example' is no origin")]
    [InlineData("Proxies:Known", "10.0.0", "'10.0.0' is")]
    [InlineData("Proxies:Known", "router.example", "'router.example' is")]
    [InlineData("FetchByUrl:Ports", "http", "'http' is no port")]
    public async Task A_wrong_setting_is_named(string setting, string value, string contains)
    {
        using var process = WhatsitServer.Start(new Dictionary<string, string> { [setting] = value });
        try
        {
            Assert.Contains(contains, await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }
        finally
        {
            process.Kill();
        }
    }

    [Fact]
    public async Task A_certificate_made_at_start_serves_https_and_binds_nobody_to_it()
    {
        await using var secure = WhatsitServer.With(new() { ["https"] = "true", ["PORT"] = "0" });
        await secure.StartAsync();
        using var client = Insecure(out var seen);
        client.BaseAddress = new UriBuilder(secure.Http.BaseAddress!) { Host = "localhost" }.Uri;
        using var response = await client.GetAsync("/health/live", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(seen().MatchesHostname("localhost"));
        Assert.False(response.Headers.Contains("Strict-Transport-Security"));
    }

    [Fact]
    public async Task A_certificate_is_loaded_anew_when_its_file_changes()
    {
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            var (certificate, key) = (Path.Combine(folder.FullName, "tls.crt"), Path.Combine(folder.FullName, "tls.key"));
            Write("first");
            // The endpoint is bound again with the new certificate: any free port would be another then.
            int port;
            using (var listener = new TcpListener(IPAddress.Loopback, 0))
            {
                listener.Start();
                port = ((IPEndPoint)listener.LocalEndpoint).Port;
            }

            await using var secure = WhatsitServer.With(new()
            {
                ["urls"] = $"https://127.0.0.1:{port}",
                ["Kestrel:Certificates:Default:Path"] = certificate,
                ["Kestrel:Certificates:Default:KeyPath"] = key,
            });
            await secure.StartAsync();
            using (var client = Insecure(out var seen))
            {
                using var response = await client.GetAsync(new Uri(secure.Http.BaseAddress!, "/health/live"), TestContext.Current.CancellationToken);
                Assert.Equal("CN=first", seen().Subject);
                Assert.StartsWith("max-age=", response.Headers.GetValues("Strict-Transport-Security").Single(), StringComparison.Ordinal);
            }

            Write("second");
            await WhatsitServer.WaitUntilAsync(async () =>
            {
                using var client = Insecure(out var seen);
                try
                {
                    using var response = await client.GetAsync(new Uri(secure.Http.BaseAddress!, "/health/live"), TestContext.Current.CancellationToken);
                    return seen().Subject == "CN=second";
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            });

            void Write(string name)
            {
                using var pair = RSA.Create(2048);
                using var made = new CertificateRequest($"CN={name}", pair, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                    .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
                File.WriteAllText(key, pair.ExportPkcs8PrivateKeyPem());
                File.WriteAllText(certificate, made.ExportCertificatePem());
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static HttpClient Insecure(out Func<X509Certificate2> seen)
    {
        X509Certificate2? certificate = null;
        seen = () => certificate!;
        return new(new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions
            {
                RemoteCertificateValidationCallback = (_, presented, _, _) => (certificate = X509CertificateLoader.LoadCertificate(presented!.GetRawCertData()))
                    is not null,
            },
        });
    }

    private static string Sha256(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
