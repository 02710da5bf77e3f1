namespace Whatsit.Server.Documentation;

/// <summary>What an endpoint says of itself for the OpenAPI document.</summary>
internal static class DocumentedEndpoints
{
    /// <summary>Which refusals it may answer with, beside those of its audience, of every body and of every request.</summary>
    public static T Refuses<T>(this T endpoint, params string[] codes)
        where T : IEndpointConventionBuilder => endpoint.WithMetadata(new RefusesAttribute(codes));
}

/// <summary>Codes of <see cref="RefusalCodes"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RefusesAttribute(params string[] codes) : Attribute
{
    public IReadOnlyList<string> Codes => codes;
}

/// <summary>
/// The endpoint takes a picture in any of our ways. Not ASP.NET Core's own <c>Accepts</c>: routing would then refuse a picture for its content type, which curl
/// and many scripts get wrong; the content decides.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PictureBodyAttribute : Attribute;

/// <summary>The endpoint takes a bundle as a zip, whatever its content type.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class BundleBodyAttribute : Attribute;

/// <summary>The endpoint answers with a file's bytes, or those that a range asks for.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class FileAnswerAttribute : Attribute;
