using System.Net;
using System.Net.NetworkInformation;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Whatsit.Server.Compatibility.OpenInference.Rpc;

namespace Whatsit.Server.Access;

/// <summary>
/// TLS by Kestrel's own settings (<c>Kestrel:Certificates:Default:Path</c>, <c>KeyPath</c>, <c>Password</c>), or with a certificate made at start
/// (<c>--https</c>).
/// </summary>
internal static class Https
{
    /// <summary><c>--https</c> is a setting without a value; the command line's reader wants one.</summary>
    public static string[] Arguments(string[] args) => [.. args.Select(arg => arg == "--https" ? "--https=true" : arg)];

    public static void AddHttps(this WebApplicationBuilder builder)
    {
        var configuration = builder.Configuration;
        builder.WebHost.UseKestrelHttpsConfiguration();
        var addresses = (configuration["urls"] ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var grpc = GrpcPort.Of(configuration, addresses);
        if (grpc != 0 || (configuration["Kestrel:Certificates:Default:Path"] is not null
            && addresses.Any(address => address.StartsWith("https://", StringComparison.OrdinalIgnoreCase))))
        {
            // Kestrel loads a certificate anew only for endpoints of its own section, and only there an endpoint has a protocol of its own.
            configuration.AddInMemoryCollection(addresses.Index()
                .Select(address => new KeyValuePair<string, string?>($"Kestrel:Endpoints:Address{address.Index}:Url", address.Item))
                .Concat(GrpcPort.Endpoint(grpc)));
            builder.WebHost.UseUrls();
        }

        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Configure(configuration.GetSection("Kestrel"), reloadOnChange: true);
            if (configuration.GetValue<bool>("https"))
            {
                var certificate = SelfSigned();
                kestrel.ConfigureHttpsDefaults(https => https.ServerCertificate = certificate);
            }
        });
    }

    /// <summary>
    /// For a local network, where nobody can vouch for a name: browsers ask once, and give camera and threads then. It names this machine as it is called and
    /// numbered.
    /// </summary>
    private static X509Certificate2 SelfSigned()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Whatsit", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddDnsName(Dns.GetHostName());
        foreach (var address in NetworkInterface.GetAllNetworkInterfaces().SelectMany(network => network.GetIPProperties().UnicastAddresses)
            .Select(unicast => unicast.Address).Distinct())
        {
            names.AddIpAddress(address);
        }

        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false));
        var now = DateTimeOffset.UtcNow;
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(397));
        // Some systems' TLS takes only keys that were imported.
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), password: null);
    }
}
