namespace Whatsit.Server.Access;

/// <summary>Whom an endpoint is for: who must show a key there, and on which port it answers.</summary>
internal enum Audience
{
    /// <summary>Everyone, and nobody has to say who he is: the page, descriptions.</summary>
    Everyone,

    /// <summary>Clients: it asks for a key where there are keys, and counts against the client's rate.</summary>
    Clients,

    /// <summary>Those who run the server: metrics, documentation.</summary>
    Operations,

    /// <summary>Those who decide what runs on the server, and have the key for that.</summary>
    Management,

    /// <summary>What starts, balances and ends the server, on whichever port it asks.</summary>
    Probes,
}

internal static class Audiences
{
    /// <summary>Says whom the endpoint is for.</summary>
    public static T For<T>(this T endpoint, Audience audience)
        where T : IEndpointConventionBuilder => endpoint.WithMetadata(MarkOf(audience));

    /// <summary>What says so, among an endpoint's metadata.</summary>
    public static object MarkOf(Audience audience) => new Mark(audience);

    /// <summary>Whom the endpoint is for that was chosen.</summary>
    public static Audience GetAudience(this HttpContext context) => context.GetEndpoint()?.Metadata.GetMetadata<Mark>()?.Audience ?? Audience.Everyone;

    /// <summary>Whom an endpoint with these metadata is for.</summary>
    public static Audience Of(IEnumerable<object> metadata) => metadata.OfType<Mark>().LastOrDefault()?.Audience ?? Audience.Everyone;

    private sealed record Mark(Audience Audience);
}
