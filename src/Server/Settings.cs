using Microsoft.Extensions.Options;

namespace Whatsit.Server;

/// <summary>Binds a configuration section to an options class, which the core takes as a plain object.</summary>
internal static class Settings
{
    public static void AddSettings<T>(this IServiceCollection services, string section)
        where T : class
    {
        services.AddOptions<T>().BindConfiguration(section, binder => binder.ErrorOnUnknownConfiguration = true).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<T>>().Value);
    }
}
